#!/usr/bin/env bash
# Builds the benchmarks, runs them, and writes the results as JSON and as a page with pictures (docs/benchmarks.md).
# `bench/run.sh --help` tells the suites.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/setup.sh"

case " $* " in
  *" -h "* | *" --help "* | *" page "*) ;;  # nothing to build
  *)
    # The suite wasm needs a compiler of its own. A run that names no suite is one of all suites.
    named=()
    for ((n = 1; n <= $#; ++n)); do
      case ${!n} in
        --out | --old) n=$((n + 1)) ;;
        -*) ;;
        *) named+=("${!n}") ;;
      esac
    done
    [[ ${#named[@]} -gt 0 && " ${named[*]} " != *" wasm "* ]] && wasm_packages=()
    install_packages "${wasm_packages[@]}"
    build release lvs lvs_bench lvs_actor_bench lvs_link_bench lvs_baselines lvs_wasm_native
    ;;
esac
exec python3 -B "$root/bench/measure.py" "$@"
