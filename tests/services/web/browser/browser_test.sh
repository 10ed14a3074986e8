#!/usr/bin/env bash
# Runs one of the tests here with Node and real browsers. Exit code 77: something is missing that they need.
#
#   browser_test.sh MODULES PAGES TEST.mjs ARGUMENT...
#
# MODULES: the folder with node_modules that ../pages/pages_test.sh filled. PAGES: the static folder of the build.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
modules=$1
pages=$2
script=$3
shift 3

skip() {
  echo "skipped: $*" >&2
  exit 77
}
command -v node >/dev/null || skip "node is missing; apt-get install nodejs"
[[ -d $modules/node_modules/puppeteer-core ]] || skip "puppeteer-core is missing; the test Pages.Modules installs it"
ls "$pages"/tab-*.wasm >/dev/null 2>&1 || skip "the pages are not built; the build says what they lack"

export LVS_WEB_MODULES=$modules
exec node "$here/$script" "$@"
