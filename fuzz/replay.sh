#!/bin/sh
# replay.sh PROGRAM NAME: run the fuzz target NAME (built with replay.c) over its part of corpora.tar.xz.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar xJf "$(dirname "$0")/corpora.tar.xz" -C "$work" "$2"
"$1" "$work/$2"
