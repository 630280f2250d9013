#!/usr/bin/env bash
# Rooms (src/*) may include only rooms below themselves, and the public header. The order is docs/architecture.md's.
set -u
cd "$(dirname "$0")/../.."
rooms="base image tensor weights text model sample inpaint library predict store worker service cli"

find src -name '*.[ch]' | sort | xargs awk -v rooms="$rooms" '
    BEGIN { count = split(rooms, list, " "); for (i = 1; i <= count; i++) level[list[i]] = i }
    function complain(text) { printf "%s:%d: %s\n", FILENAME, FNR, text; broken = 1 }
    FNR == 1 { split(FILENAME, path, "/"); room = path[2]; if (!(room in level)) complain("src/" room " is no room (tests/lint/run_rooms.sh lists them)") }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, quoted, "\""); header = quoted[2]
        if (header ~ /\.\./) complain("include \"" header "\" climbs out of its folder")
        if (!match(header, "/")) next # a file of the same folder, or include/
        target = substr(header, 1, RSTART - 1)
        if (target in level && level[target] > level[room]) complain(room " includes \"" header "\", a room above it")
        if (!(target in level) && system("test -e include/" header " -o -e src/" room "/" header) != 0) complain("include \"" header "\": no such room")
    }
    END { exit broken }' && echo "rooms: every include points down"
