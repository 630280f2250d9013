#!/usr/bin/env bash
# Calls that only one file may make (its door), or nobody. The table: name, the files that may (a regular expression), what to use instead.
set -u
cd "$(dirname "$0")/../.."
table='
malloc      src/base/memory.c   memory_alloc
calloc      src/base/memory.c   memory_zero
realloc     src/base/memory.c   memory_resize
aligned_alloc src/base/memory.c memory_aligned
posix_memalign src/base/memory.c memory_aligned
free        src/base/(memory|text).c memory_free
strdup      -                   memory_string
strndup     -                   memory_string_n
asprintf    -                   memory_format
vasprintf   -                   memory_format
strcpy      -                   memcpy with a length
strncpy     -                   memcpy with a length
strcat      -                   buffer_append
strncat     -                   buffer_append
sprintf     -                   snprintf
vsprintf    -                   vsnprintf
strtok      -                   strcspn
gets        -                   fgets
atoi        -                   strtol and a range check
atol        -                   strtol and a range check
atof        -                   strtod and a range check
rand        -                   sample/noise.h
srand       -                   sample/noise.h
system      -                   posix_spawn
popen       -                   posix_spawn
exit        -                   an error value
abort       -                   an error value
assert      -                   an error value
_exit       src/cli/.*          an error value
alloca      -                   memory_alloc
setjmp      src/image/(de|en)code_jpeg.c an error value
longjmp     src/image/(de|en)code_jpeg.c an error value
'

find src -name '*.[ch]' | sort | TABLE="$table" xargs awk "$(cat tests/lint/code.awk)"'
    BEGIN {
        count = split(ENVIRON["TABLE"], lines, "\n")
        for (i = 1; i <= count; i++) if (split(lines[i], column, /[ \t]+/) >= 3) {
            door[column[1]] = column[2]; sub(/^[^ ]+ +[^ ]+ +/, "", lines[i]); instead[column[1]] = lines[i]
        }
    }
    {
        rest = code; before = ""
        while (match(rest, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
            name = substr(rest, RSTART, RLENGTH); sub(/[ \t]*\($/, "", name)
            previous = substr(before rest, length(before) + RSTART - 1, 1)
            before = before substr(rest, 1, RSTART + RLENGTH - 1); rest = substr(rest, RSTART + RLENGTH)
            if (!(name in door) || previous == "." || previous == ">") continue # a member of that name is not the call
            if (door[name] != "-" && FILENAME ~ ("^" door[name] "$")) continue
            printf "%s:%d: %s() is banned here; use %s\n", FILENAME, FNR, name, instead[name]; broken = 1
        }
    }
    END { exit broken }' && echo "calls: none that are banned"
