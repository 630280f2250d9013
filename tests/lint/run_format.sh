#!/usr/bin/env bash
# Layout is .clang-format's; `make format` applies it. Skipped where clang-format is missing or of another age.
set -u
cd "$(dirname "$0")/../.."
if ! clang-format --version 2>/dev/null | grep -q 'version 14\.'; then
    echo "skipped: no clang-format 14 here"
    exit 77
fi
find src include tests fuzz bench -name '*.[ch]' -print0 | sort -z | xargs -0 -r clang-format --dry-run -Werror && echo "format: clean"
