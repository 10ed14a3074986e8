#!/usr/bin/env bash
# Every C++ source and header of the tree is formatted as .clang-format says. Exit code 77 where clang-format 14, which
# Debian 12 has, is not installed: other versions format differently.
#
#   format_test.sh SOURCE-DIR
set -euo pipefail
cd "$1"

clang_format=$(command -v clang-format-14 || command -v clang-format || true)
if [[ -z $clang_format || $("$clang_format" --version) != *"version 14."* ]]; then
  echo "skipped: clang-format 14 is not installed (deploy/test.sh --full installs it)"
  exit 77
fi
mapfile -t sources < <(find proto vaultguard shard actors services bench tests -name '*.cc' -o -name '*.h' | sort)
if [[ ${#sources[@]} -lt 200 ]]; then
  echo "only ${#sources[@]} sources were found: are the folders named otherwise now?"
  exit 1
fi
# A planted source shows that the check works.
if echo 'int  F( ) {return 1 ;}' | "$clang_format" --assume-filename=planted.cc --dry-run -Werror 2>/dev/null; then
  echo "clang-format does not object to a source that is not formatted"
  exit 1
fi
printf '%s\n' "${sources[@]}" | xargs -P "$(nproc)" -n 20 "$clang_format" --dry-run -Werror
echo "${#sources[@]} sources are formatted"
