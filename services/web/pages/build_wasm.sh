#!/usr/bin/env bash
# Builds modules of the core for browsers, with the preset wasm. Called by the build of the pages.
#
#   build_wasm.sh TREE TARGET...
set -eu
tree=$1
shift
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd -P)
cd "$root"
if [[ ! -f $tree/build.ninja || CMakePresets.json -nt $tree/build.ninja ]]; then
  cmake --preset wasm -B "$tree" >"$tree.log" 2>&1 || { cat "$tree.log" >&2; exit 1; }
fi
exec cmake --build "$tree" --target "$@"
