#!/usr/bin/env bash
# From a bare Debian 12 to a verdict: installs what is missing, builds lvs, runs a scenario. Fast from the second time on.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

if [[ ${1-} == -h || ${1-} == --help ]]; then
  cat <<'USAGE'
Usage: deploy/run.sh [SCENARIO] [OPTIONS of lvs run]

Installs the Debian packages that are missing (as root or with sudo), builds build/release/lvs and runs
`lvs run SCENARIO OPTIONS`. SCENARIO is a file or a shipped name, phase2 where none is given.

  deploy/run.sh
  deploy/run.sh phase2 --seed 8 --realtime
  deploy/run.sh my.yaml --out runs/mine

Exit codes: 0 passed, 1 could not build or run, 2 wrong arguments or scenario, 99 a threshold breached.
USAGE
  exit 0
fi

# Some 100 MB that only the pages need. Where they cannot be installed, lvs runs without them, and the build says so.
(install_packages "${pages_packages[@]}") || {
  say "Going on without the pages."
  install_packages
}
build release lvs lvs_pages

# lvs takes its run directory, runs/..., and a scenario's file from the folder that the user is in.
[[ $# -gt 0 && $1 != -* ]] || set -- phase2 "$@"
exec "$root/build/release/lvs" run "$@"
