#!/usr/bin/env bash
# LVS beside what one would pick instead, in one run on this machine: installs, builds, measures, prints ratios.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/setup.sh"

case " $* " in
  *" -h "* | *" --help "*) exec python3 "$root/bench/compare.py" --help ;;
esac

install_packages
# The peers' own packages. Without them, and without root, the rest is compared.
(
  packages=(erlang-base golang-go libsimgrid-dev)
  install_packages
) || say "$(basename "$0"): comparing without what is missing"

# A tree that was configured before SimGrid was installed does not know of it.
if configured release; then (cd "$root" && quietly configure-release cmake --preset release) || exit; fi
build release lvs lvs_baselines

exec python3 "$root/bench/compare.py" "$@"
