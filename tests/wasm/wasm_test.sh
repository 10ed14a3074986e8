#!/usr/bin/env bash
# Builds the core for WebAssembly and compares it with native, cycle by cycle. Exit code 77: a package is missing.
#
#   wasm_test.sh build              cmake --preset wasm, and its build in build/wasm
#   wasm_test.sh compare NATIVE     every case of case.h on both sides; NATIVE is lvs_wasm_native
#   wasm_test.sh playground NATIVE  the playgrounds of tests/shard/wasm on both sides; NATIVE is lvs_playground_hashes
#   wasm_test.sh self-test NATIVE   differences are planted, and each must be found
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
source "$here/../../deploy/setup.sh"

missing=()
for package in "${wasm_packages[@]}"; do
  [[ $package == nodejs ]] && command -v node >/dev/null && continue
  installed "$package" || missing+=("$package")
done
if [[ ${#missing[@]} -gt 0 ]]; then
  say "skipped: these packages are missing: ${missing[*]}"
  exit 77
fi

module=$root/build/wasm/lvs_wasm.wasm
case $1 in
  build)
    build wasm all
    echo "$module: $(stat -c %s "$module") bytes, $(gzip -9 -c "$module" | wc -c) with gzip"
    ;;
  compare) exec node "$here/equality_test.mjs" "$2" "$module" ;;
  playground) exec node "$here/../shard/wasm/playground_equality_test.mjs" "$2" "$root/build/wasm/playground.wasm" ;;
  self-test) exec node "$here/equality_test.mjs" "$2" "$module" --self-test ;;
  *) fail "there is no $1" ;;
esac
