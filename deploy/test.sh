#!/usr/bin/env bash
# Builds everything and runs the tests. Ends with "N passed, N failed, N skipped"; the exit code is 0 only if none failed.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

usage() {
  cat <<'USAGE'
Usage: deploy/test.sh [--full] [--asan] [--tsan] [--nightly]

Installs the Debian packages that are missing (as root or with sudo), builds everything and runs:

  (nothing)  the fast tests; at most three minutes
  --full     every test but the nightly ones; then the fast ones under --asan, then --tsan. This is what CI runs.
             Installs clang and clang-format too, for the checks of locks and of the format, what builds and runs
             WebAssembly, for the comparison with native, and what builds the pages; these tests are skipped without
             them
  --asan     the fast tests, with the address and undefined-behaviour sanitizers
  --tsan     the tests labelled thread, built with the thread sanitizer
  --nightly  what takes too long for CI: rounds of faults, long runs with other seeds, and networks of real browsers;
             installs Chromium, Firefox and npm for these

One test: ctest --preset release -R NAME (after a build).
USAGE
}

stages=()
extra_packages=()
for argument in "$@"; do
  case $argument in
    --full)
      stages+=(full asan tsan)
      extra_packages+=("${check_packages[@]}" "${pages_packages[@]}")
      ;;
    --nightly)
      stages+=(nightly)
      extra_packages+=("${pages_packages[@]}" "${pages_check_packages[@]}")
      ;;
    --asan | --tsan) stages+=("${argument#--}") ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      exit 2
      ;;
  esac
done
[[ ${#stages[@]} -gt 0 ]] || stages=(fast)

# --all while a run must have every test that docs/compliance.md names.
require_all=()
passed=0
failed=0
skipped=0

# run_tests PRESET CTEST-ARGUMENT...: runs the tests of a built tree and counts them.
run_tests() {
  local preset=$1 report=$root/build/$1/tests.xml before=$failed
  shift
  rm -f "$report"
  [[ -t 1 ]] && set -- --progress "$@"
  "${run_with[@]}" ctest --test-dir "$root/build/$preset" -j "${CTEST_PARALLEL_LEVEL:-2}" --timeout 900 \
    --no-tests=error --output-on-failure --output-junit "$report" "$@"
  local exit_code=$? tests=0 failures=0 not_run=0
  if [[ -f $report ]]; then
    tests=$(attribute tests "$report")
    failures=$(attribute failures "$report")
    not_run=$(($(attribute disabled "$report") + $(attribute skipped "$report")))
  fi
  passed=$((passed + tests - failures - not_run))
  failed=$((failed + failures))
  skipped=$((skipped + not_run))
  # A requirement whose test was skipped is not shown. A build with sanitizers leaves out what they cannot run.
  if [[ $preset == release ]] &&
    ! "$root/tests/structure/compliance_ran.py" "$root" "$report" "${require_all[@]}"; then
    failed=$((failed + 1))
  fi
  # Whatever ctest objects to counts, even where no test says so: no tests at all, say.
  [[ $exit_code -eq 0 || $failed -gt $before ]] || failed=$((failed + 1))
}

attribute() { grep -oE -m 1 "^[[:space:]]+$1=\"[0-9]+\"" "$2" | grep -oE '[0-9]+' || echo 0; }

# The executables whose tests are labelled thread, by the release tree.
thread_tests() {
  ctest --test-dir "$root/build/release" -N -V -L '^thread$' |
    sed -nE 's|.*Test command: .*/build/release/([A-Za-z0-9_]+).*|\1|p' | sort -u
}

run_stage() {
  local targets
  case $1 in
    fast)
      build release all
      run_tests release -LE '^(full|nightly)$'
      ;;
    full)
      build release all
      require_all=(--all)
      run_tests release -LE '^nightly$'
      require_all=()
      ;;
    nightly)
      build release all
      run_tests release -L '^nightly$'
      ;;
    asan)
      build asan all
      run_tests asan -L '^fast$'
      ;;
    tsan)
      build release all
      mapfile -t targets < <(thread_tests)
      if [[ ${#targets[@]} -eq 0 ]]; then
        say "no test is labelled thread"
        failed=$((failed + 1))
        return
      fi
      # GCC 12's thread sanitizer does not start where the kernel spreads addresses as far as newer ones do.
      if setarch "$(uname -m)" -R true 2>/dev/null; then run_with=(setarch "$(uname -m)" -R); fi
      build tsan "${targets[@]}"
      run_tests tsan -L '^thread$'
      run_with=()
      ;;
  esac
}

install_packages "${extra_packages[@]}"
for stage in "${stages[@]}"; do
  say "== $stage tests"
  SECONDS=0
  run_stage "$stage"
  say "== $stage tests took ${SECONDS}s, building included"
done
echo "$passed passed, $failed failed, $skipped skipped"
[[ $failed -eq 0 ]]
