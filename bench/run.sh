#!/usr/bin/env bash
# Builds the benchmarks, runs them, and writes the results as JSON and as a page with pictures (docs/benchmarks.md).
# `bench/run.sh --help` tells the suites.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/../deploy/setup.sh"

case " $* " in
  *" -h "* | *" --help "* | *" page "*) ;;  # nothing to build
  *)
    install_packages
    build release lvs lvs_bench lvs_actor_bench lvs_link_bench lvs_baselines
    ;;
esac
exec python3 -B "$root/bench/measure.py" "$@"
