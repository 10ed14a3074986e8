#!/usr/bin/env bash
# Runs one of the tests here with Node and real browsers. Exit code 77: something is missing that they need.
#
#   browser_test.sh MODULES TEST.mjs ARGUMENT...      MODULES: a folder of the build, for what npm installs
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
modules=$1
script=$2
shift 2

skip() {
  echo "skipped: $*" >&2
  exit 77
}
for tool in node npm esbuild tsc; do
  command -v "$tool" >/dev/null || skip "there is no $tool (Debian: nodejs npm esbuild node-typescript)"
done

# Once for each lock file. Tests that start together wait for each other.
mkdir -p "$modules"
(
  flock 9
  if ! cmp -s "$here/../package-lock.json" "$modules/installed-lock.json"; then
    cp "$here/../package.json" "$here/../package-lock.json" "$modules/"
    npm ci --prefix "$modules" --ignore-scripts --no-audit --no-fund >"$modules/npm.log" 2>&1 || exit 1
    cp "$here/../package-lock.json" "$modules/installed-lock.json"
  fi
) 9>"$modules/lock" || skip "npm could not install puppeteer-core: see $modules/npm.log"

export LVS_WEB_MODULES=$modules
exec node "$here/$script" "$@"
