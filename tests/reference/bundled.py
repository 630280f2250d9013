#!/usr/bin/env python3
"""Reference results of diffusers on models/bundled (AutoencoderTiny, v-prediction): remake them when the model changes.

    pip install -r training/requirements.txt
    tests/reference/bundled.py models/bundled tests/reference/bundled
"""

import json
import math
import os
import struct
import sys

import numpy as np
import torch
from diffusers import StableDiffusionInpaintPipeline
from PIL import Image, ImageDraw

M0, M1, W0, W1, LOW = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85, 0xFFFFFFFF


def philox_normal(seed, count):
    """float32 [count]: the first torch.randn of a CUDA generator, for at most one pass of its grid.

    Philox4x32-10 of (counter 0, subsequence of the thread) and Box-Muller, four numbers a thread, each a whole grid apart."""
    threads = -(-count // 256) * 256
    thread = np.arange(threads, dtype=np.uint64)
    words = [np.zeros_like(thread), np.zeros_like(thread), thread & np.uint64(LOW), thread >> np.uint64(32)]
    key = [seed & LOW, seed >> 32]
    for _ in range(10):
        first, second = words[0] * np.uint64(M0), words[2] * np.uint64(M1)
        words = [
            (second >> np.uint64(32)) ^ words[1] ^ np.uint64(key[0]),
            second & np.uint64(LOW),
            (first >> np.uint64(32)) ^ words[3] ^ np.uint64(key[1]),
            first & np.uint64(LOW),
        ]
        key = [(key[0] + W0) & LOW, (key[1] + W1) & LOW]
    normals = []
    for x, y in (words[:2], words[2:]):
        uniform = x.astype(np.float32) * np.float32(2**-32) + np.float32(2**-33)
        angle = y.astype(np.float32) * np.float32(2**-32 * 2 * math.pi) + np.float32(2**-33 * 2 * math.pi)
        radius = np.sqrt(np.float32(-2) * np.log(uniform))
        normals += [np.sin(angle) * radius, np.cos(angle) * radius]
    return np.concatenate(normals)[:count]


def save(path, tensors):
    """A safetensors file of f32 and i32 tensors."""
    header, place, parts = {}, 0, []
    for name, value in tensors.items():
        value = np.ascontiguousarray(value)
        kind = {"float32": "F32", "int64": "I64", "int32": "I32"}[str(value.dtype)]
        header[name] = dict(dtype=kind, shape=list(value.shape), data_offsets=[place, place + value.nbytes])
        place += value.nbytes
        parts.append(value.tobytes())
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))


def networks(pipeline, out):
    rng = np.random.default_rng(3)
    normal = lambda *shape: torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    vae, unet, text = {}, {}, {}
    for i, (height, width) in enumerate(((256, 256), (72, 104))):
        image, latent = torch.tanh(normal(1, 3, height, width)), normal(1, 4, height // 8, width // 8)
        vae |= {f"{i}.image": image, f"{i}.encoded": pipeline.vae.encode(image).latents}
        vae |= {f"{i}.latent": latent, f"{i}.decoded": pipeline.vae.decode(latent).sample}
    for i, (count, height, width, timestep) in enumerate(((2, 32, 32, 981), (1, 9, 13, 41))):
        sample, context = normal(count, 9, height, width), normal(count, 77, pipeline.unet.config.cross_attention_dim)
        result = pipeline.unet(sample, timestep, encoder_hidden_states=context).sample
        unet |= {f"{i}.sample": sample, f"{i}.timestep": np.array([timestep]), f"{i}.context": context, f"{i}.v": result}
    for i, prompt in enumerate(("a red apple", "")):
        ids = torch.tensor(pipeline.tokenizer(prompt, padding="max_length", max_length=77, truncation=True).input_ids)[None]
        text |= {f"{i}.ids": ids.int(), f"{i}.hidden": pipeline.text_encoder(ids)[0]}
    for name, tensors in (("vae", vae), ("unet", unet), ("text_encoder", text)):
        save(f"{out}/{name}.safetensors", tensors)


def paintings(pipeline, out):
    latents, rows, kept = {}, [], pipeline.vae.decode
    cases = (((256, 256), "a red apple", 20, 4.0, 7), ((200, 136), "a penguin", 8, 7.5, 42))
    for i, ((width, height), prompt, steps, guidance, seed) in enumerate(cases):
        y, x = np.mgrid[0:height, 0:width]
        waves = np.stack([110 + 70 * np.sin(x / 25), 140 + 50 * np.cos(y / 31), 90 + x * 0.3 + y * 0.2], -1)
        image, mask = Image.fromarray(waves.clip(0, 255).astype("uint8")), Image.new("L", (width, height))
        ImageDraw.Draw(mask).ellipse((width // 5, height // 5, width * 4 // 5, height * 4 // 5), fill=255)
        names = {part: f"pipeline-{i}-{part}.png" for part in ("image", "mask")}
        image.save(f"{out}/{names['image']}")
        mask.save(f"{out}/{names['mask']}")
        final = []
        pipeline.vae.decode = lambda latent, *rest, **more: (final.append(latent.clone()), kept(latent, *rest, **more))[1]
        noise = torch.from_numpy(philox_normal(seed, 4 * (height // 8) * (width // 8)).reshape(1, 4, height // 8, width // 8))
        result = pipeline(
            prompt=prompt, image=image, mask_image=mask, width=width, height=height,
            num_inference_steps=steps, guidance_scale=guidance, latents=noise,
        ).images[0]  # fmt: skip
        pipeline.vae.decode = kept
        result.save(f"{out}/pipeline-{i}-out-0.png")
        latents[f"{i}.final_latent"] = final[0] * pipeline.vae.config.scaling_factor
        rows.append(
            dict(
                **names, prompt=prompt, negative_prompt=None, num_inference_steps=steps, guidance_scale=guidance,
                num_outputs=1, seed=seed, invert_mask=False, outputs=[f"pipeline-{i}-out-0.png"],
            )
        )  # fmt: skip
    save(f"{out}/pipeline.safetensors", latents)
    with open(f"{out}/pipeline.json", "w") as file:
        json.dump(rows, file, indent=1)


def main():
    model, out = sys.argv[1:3]
    os.makedirs(out, exist_ok=True)
    torch.set_grad_enabled(False)
    pipeline = StableDiffusionInpaintPipeline.from_pretrained(model, torch_dtype=torch.float32, safety_checker=None, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    networks(pipeline, out)
    paintings(pipeline, out)


if __name__ == "__main__":
    main()
