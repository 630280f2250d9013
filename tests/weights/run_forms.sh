#!/usr/bin/env bash
# Checkpoints as the real packages write them (fixtures.py): each paints the reference's picture, and `model inspect`
# tells about it. Those of forms.tar.xz always; with a Python that has torch, diffusers, transformers and safetensors
# (INPAINT_TORCH_PYTHON, or python3) also fresh ones of the larger tests/reference/tiny-checkpoint.
set -u
program=${INPAINTD:?the path of inpaintd}
root=$(cd "$(dirname "$0")/../.." && pwd)
reference=$root/tests/reference
golden=$reference/tiny
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

paint() { # paint PATH OUT
    "$program" paint "$golden/image-0.png" --mask "$golden/mask-0.png" -p "a cat" --seed 7 --steps 3 --raw --dtype f32 --no-safety -q --model "$1" -o "$2"
}
same() { # same REFERENCE PATH
    if ! paint "$2" "$work/form.png" >/dev/null || ! cmp -s "$work/form.png" "$1"; then
        echo "FAILED: $2 paints another picture"
        failed=1
    elif ! "$program" model inspect "$2" >"$work/out" || ! grep -q '^can inpaint' "$work/out"; then
        echo "FAILED: inspecting $2"
        cat "$work/out"
        failed=1
    else
        echo "same picture: ${2##*/}"
    fi
}

differs() { # differs REFERENCE PATH
    paint "$2" "$work/other.png" >/dev/null && ! cmp -s "$work/other.png" "$1" && return
    echo "FAILED: $2 should paint another picture"
    failed=1
}
all_forms() { # all_forms FOLDER: what `fixtures.py forms` wrote
    paint "$1/reference" "$work/reference.png" >/dev/null || exit 1
    for form in bin older.names fp16.bin fp16.safetensors f32.safetensors mixed saved saved.shards saved.bin saved.bin.shards single.safetensors single.ckpt; do
        same "$work/reference.png" "$1/$form"
    done
    test -f "$1/saved.shards/unet/diffusion_pytorch_model.safetensors.index.json" || { echo "FAILED: nothing was in pieces"; failed=1; }
    test -f "$1/saved.bin.shards/unet/diffusion_pytorch_model.bin.index.json" || { echo "FAILED: no .bin was in pieces"; failed=1; }
}

tar xJf "$root/tests/weights/forms.tar.xz" -C "$work" || exit 1
for folder in "$work"/forms/*/ "$work/forms-2/reference/"; do
    case $folder in */fp16.bin/) ;; # one goes without: the program has a copy
    *forms-2*) cp -rL "$reference/sd2-checkpoint/tokenizer" "$folder" ;;
    *) cp -r "$reference/tiny-checkpoint/tokenizer" "$folder" ;; esac
done
all_forms "$work/forms"
for form in single.bf16.safetensors single.bf16.ckpt; do same "$work/reference.png" "$work/forms/$form"; done # its numbers fit into bf16
# Stable Diffusion 2: OpenCLIP's text encoder, linear projections, "!" for padding.
differs "$work/reference.png" "$work/forms-2/reference"
paint "$work/forms-2/reference" "$work/second.png" >/dev/null || exit 1
same "$work/second.png" "$work/forms-2/single.safetensors"
same "$work/second.png" "$work/forms-2/single.ckpt"

# What only the single file's tensors say survives a conversion.
"$program" model convert "$work/forms-2/single.ckpt" "$work/second.inpaint" --no-safety --dtype f32 --size 64x64 >"$work/out" 2>&1 || cat "$work/out"
same "$work/second.png" "$work/second.inpaint"

python=${INPAINT_TORCH_PYTHON:-python3}
if "$python" -c 'import torch, diffusers, transformers, safetensors' 2>/dev/null; then
    "$python" "$root/tests/weights/fixtures.py" forms "$reference/tiny-checkpoint" "$work/fresh" || exit 1
    all_forms "$work/fresh"
    differs "$work/reference.png" "$work/fresh/single.bf16.safetensors" # rounded
    paint "$work/fresh/single.bf16.safetensors" "$work/bf16.png" >/dev/null || exit 1
    same "$work/bf16.png" "$work/fresh/single.bf16.ckpt"
fi
exit $failed
