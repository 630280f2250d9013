#!/usr/bin/env bash
# Words that must not be in what we ship, and files that are too long to be about one thing.
set -u
cd "$(dirname "$0")/../.."
failed=0
sources() {
    find . \( -name build -o -name node_modules -o -name .git -o -name .venv -o -name data -o -path ./models -o -path ./tests/reference -o -path ./tests/lint \) -prune \
        -o -type f \( -name '*.[ch]' -o -name '*.def' -o -name '*.js' -o -name '*.mjs' -o -name '*.css' -o -name '*.html' -o -name '*.sh' -o -name '*.py' \
        -o -name '*.go' -o -name '*.md' -o -name '*.txt' -o -name '*.json' -o -name '*.cmake' -o -name Makefile -o -path './scripts/*' -o -path './.ci/*' \) -print | sort
}
# A task without an owner; a path of somebody's own machine.
if sources | xargs grep -nE '\b(TODO|FIXME|XXX)\b|/(work|home/[a-z]+|root)/' /dev/null; then
    echo "words: the lines above hold a word that must not be there"
    failed=1
fi
# Conflict marks.
if sources | xargs grep -nE '^(<<<<<<<|>>>>>>>) ' /dev/null; then
    echo "words: the lines above are left from a merge"
    failed=1
fi
find src include -name '*.[ch]' | sort | xargs wc -l | awk '$2 != "total" && $1 > 600 { printf "%s: %d lines: is it about one thing? (a warning)\n", $2, $1 }'
find src include -name '*.[ch]' | sort | xargs awk '/[ \t]$/ { printf "%s:%d: blanks at the end of the line\n", FILENAME, FNR; broken = 1 } END { exit broken }' || failed=1
[ $failed = 0 ] && echo "words: clean"
exit $failed
