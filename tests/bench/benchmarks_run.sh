#!/usr/bin/env bash
# benchmarks_run.sh BINARY PREFIX: each benchmark whose name begins with PREFIX runs, and none of them says an error.
set -eu
out=$("$1" --benchmark_filter="^$2" --benchmark_min_time=0.0001 --benchmark_format=json)
if grep -q '"error_occurred": true' <<<"$out"; then
  grep -B 6 -A 1 '"error_occurred": true' <<<"$out"
  exit 1
fi
ran=$(grep -c '"run_type": "iteration"' <<<"$out") || { echo "no benchmark is named $2"; exit 1; }
echo "$ran benchmarks ran"
