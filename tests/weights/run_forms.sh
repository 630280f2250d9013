#!/usr/bin/env bash
# Checkpoints as the real packages write them (fixtures.py forms): each paints the reference's picture, and
# `model inspect` tells about it. Needs a Python with torch, diffusers, transformers and safetensors:
# INPAINT_TORCH_PYTHON, or python3; without one this test is skipped.
set -u
program=${INPAINTD:?the path of inpaintd}
root=$(cd "$(dirname "$0")/../.." && pwd)
golden=$root/tests/reference/tiny
python=${INPAINT_TORCH_PYTHON:-python3}
if ! "$python" -c 'import torch, diffusers, transformers, safetensors' 2>/dev/null; then
    echo "SKIPPED: $python has no torch, diffusers, transformers and safetensors (name another one: INPAINT_TORCH_PYTHON=/path/to/python)"
    exit 77
fi
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

"$python" "$root/tests/weights/fixtures.py" forms "$root/tests/reference/tiny-checkpoint" "$work/forms" || exit 1
paint "$work/forms/reference" "$work/reference.png" >/dev/null || exit 1
for form in bin fp16.bin fp16.safetensors f32.safetensors saved saved.shards saved.bin single.safetensors single.ckpt; do
    same "$work/reference.png" "$work/forms/$form"
done
test -f "$work/forms/saved.shards/unet/diffusion_pytorch_model.safetensors.index.json" || { echo "FAILED: nothing was in pieces"; failed=1; }
paint "$work/forms/single.bf16.safetensors" "$work/bf16.png" >/dev/null || exit 1
cmp -s "$work/bf16.png" "$work/reference.png" && { echo "FAILED: bf16 weights should differ a little"; failed=1; }
same "$work/bf16.png" "$work/forms/single.bf16.ckpt"
exit $failed
