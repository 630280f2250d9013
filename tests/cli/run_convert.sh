#!/usr/bin/env bash
# inpaintd model convert: one packed file paints what the folder paints, to the bit, and packs nothing; packed files that lie.
set -u
program=${INPAINTD:?the path of inpaintd}
root=$(cd "$(dirname "$0")/../.." && pwd)
tiny=$root/tests/reference/tiny-checkpoint
golden=$root/tests/reference/tiny
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0
check() { # check NAME CONDITION...
    local name=$1
    shift
    if "$@"; then passed=$((passed + 1)); else failed=$((failed + 1)); echo "FAILED: $name"; sed 's/^/    /' out err 2>/dev/null | tail -15; fi
}
not() { ! "$@"; }
run() { # run EXPECTED-EXIT ARGUMENTS...
    local want=$1 got
    shift
    "$program" "$@" >out 2>err </dev/null
    got=$?
    check "exit code $got of inpaintd $*, expected $want" test "$got" -eq "$want"
}
paint() { # paint EXPECTED-EXIT MODEL OUT OPTIONS...
    run "$1" paint "$golden/image-0.png" --mask "$golden/mask-0.png" -p "a cat" --model "$2" --steps 2 --seed 3 -q -o "$3" "${@:4}"
}
size=$(python3 -c 'import struct,sys; print("%dx%d" % struct.unpack(">II", open(sys.argv[1], "rb").read(24)[16:]))' "$golden/image-0.png")

for dtype in f32 bf16; do
    run 0 model convert "$tiny" $dtype.inpaint --size "$size" --dtype $dtype
    check "$dtype: says how to start with it" grep -q -- "--model $dtype.inpaint" out
    check "$dtype: nothing left beside it" test -z "$(find . -name '*.part')"
    run 0 model verify $dtype.inpaint
    run 0 model inspect $dtype.inpaint
    check "$dtype: can inpaint" grep -q '^can inpaint' out
    paint 0 "$tiny" folder-$dtype.png --dtype $dtype
    paint 0 $dtype.inpaint packed-$dtype.png --dtype $dtype
    check "$dtype: the same picture" cmp -s folder-$dtype.png packed-$dtype.png
    check "$dtype: nothing was packed" not grep -q 'packed anew' err
    lora=$root/tests/reference/lora/kohya.safetensors:0.7
    paint 0 "$tiny" lora-folder.png --dtype $dtype --lora "$lora"
    paint 0 $dtype.inpaint lora-packed.png --dtype $dtype --lora "$lora"
    check "$dtype: with a LoRA, too" cmp -s lora-folder.png lora-packed.png
    check "$dtype: which changes something" not cmp -s lora-folder.png folder-$dtype.png
done
run 0 model convert f32.inpaint again.inpaint --size "$size" --dtype f32
check "again: the same file" cmp -s f32.inpaint again.inpaint

# Other kernels than those it was made for.
paint 0 bf16.inpaint packed-as-f32.png --dtype f32
check "another number format: the same picture" cmp -s folder-f32.png packed-as-f32.png
check "another number format: says so" grep -q 'packed anew' err
export INPAINT_ISA=plain
paint 0 "$tiny" folder-plain.png --dtype f32
paint 0 f32.inpaint packed-plain.png --dtype f32
check "another processor: the same picture" cmp -s folder-plain.png packed-plain.png
unset INPAINT_ISA

# What can't be converted.
run 3 model convert /nonexistent x.inpaint
run 2 model convert "$tiny" x.inpaint --size 100x100
run 3 model convert "$tiny" no/such/folder/x.inpaint
check "no file from a failure" test ! -e x.inpaint
"$program" model convert "$tiny" x.inpaint --size 1024x1024 >out 2>err </dev/null &
child=$!
for _ in $(seq 400); do compgen -G 'x.inpaint.*.part' >/dev/null && break; sleep 0.01; done
kill -INT $child
wait $child
code=$?
check "stopped: exit code $code" test $code -eq 130
check "stopped: nothing left" test -z "$(find . -name 'x.inpaint*')"

# Packed files that lie.
lie() { # lie HOW PATTERN: it can't be opened, and why
    python3 "$root/tests/cli/damage.py" f32.inpaint bad.inpaint "$1"
    paint 3 bad.inpaint bad.png --dtype f32
    check "$1: says $2" grep -q "$2" err
}
lie cut 'complete'
lie version 'format 9'
lie directory 'directory is damaged'
lie json 'no JSON'
lie outside 'outside of the file'
lie negative 'outside of the file\|no offset'
lie overlap 'overlap'
lie name "name that can't be"
lie config 'damaged: its SHA-256'
lie far 'outside of the file'
lie place 'not as it should be'
lie numbers 'not as it should be'
harmless() { # harmless HOW PATTERN: the picture is right all the same
    python3 "$root/tests/cli/damage.py" f32.inpaint bad.inpaint "$1"
    paint 0 bad.inpaint bad.png --dtype f32
    check "$1: says $2" grep -q "$2" err
    check "$1: the picture is right" cmp -s folder-f32.png bad.png
}
harmless short 'packed anew'
harmless other 'other weights than packing gives'
harmless revision "another version's"
python3 "$root/tests/cli/damage.py" f32.inpaint bad.inpaint weights
run 3 model verify bad.inpaint
check "weights: named" grep -q 'packed/weights was changed' out

echo "$passed passed, $failed failed"
test $failed -eq 0
