#!/usr/bin/env bash
# modules_test.sh SOURCES [TEST.mjs]: the modules of the pages that need no browser, in Node. Exit code 77: a tool is missing.
set -eu
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
for tool in node esbuild; do
  command -v "$tool" >/dev/null || {
    echo "skipped: there is no $tool (Debian: nodejs esbuild)" >&2
    exit 77
  }
done
exec node "${2:-$here/modules_test.mjs}" "$1" esbuild
