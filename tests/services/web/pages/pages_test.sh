#!/usr/bin/env bash
# Drives the pages with a real Chromium. Exit code 77: a tool is missing.
#
#   pages_test.sh modules PARENT                        npm ci into PARENT/node_modules, 30 s the first time
#   pages_test.sh playground PAGES WASM PARENT SCREENS  the playground, and what every page must hold
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)

skip() {
  echo "skipped: $*" >&2
  exit 77
}

command -v node >/dev/null || skip "node is missing; apt-get install nodejs"
chromium=$(command -v chromium) || skip "Chromium is missing; apt-get install chromium"

case $1 in
  modules)
    mkdir -p "$2"
    # The lock file names every package and its hash, so only a change of it asks the registry again.
    if ! cmp -s "$here/package-lock.json" "$2/installed-lock.json"; then
      command -v npm >/dev/null || skip "npm is missing; apt-get install npm"
      cp "$here/package.json" "$here/package-lock.json" "$2"
      (cd "$2" && npm ci --no-audit --no-fund --ignore-scripts) || skip "npm ci failed; is the registry reachable?"
      cp "$here/package-lock.json" "$2/installed-lock.json"
    fi
    ;;
  playground)
    [[ -f $2/playground.html ]] || skip "the pages are not built; the build says what they lack"
    exec node "$here/playground_page_test.mjs" "$2" "$3" "$4" "$chromium" "$5"
    ;;
  *)
    echo "there is no $1" >&2
    exit 2
    ;;
esac
