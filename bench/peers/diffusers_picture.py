#!/usr/bin/env python3
"""diffusers' time for a whole picture at 512x512, guidance on, from the loaded pipeline's call to a PNG's bytes, as JSON.

  diffusers_picture.py CHECKPOINT_FOLDER [--precision bf16|f32] [--steps N]
needs: pip install torch diffusers transformers
"""
import argparse
import io
import json
import os
import resource
import time

import diffusers
import numpy as np
import torch
from PIL import Image

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("--precision", default="bf16")
parser.add_argument("--steps", type=int, default=50)
parser.add_argument("--cpu", action="store_true", help="the processor's time, shared out over all of them, for busy machines")
arguments = parser.parse_args()
clock = (lambda: time.process_time() / len(os.sched_getaffinity(0))) if arguments.cpu else time.time
dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
pipeline = diffusers.StableDiffusionInpaintPipeline.from_pretrained(arguments.checkpoint, torch_dtype=dtype)
pipeline.set_progress_bar_config(disable=True)
pipeline.unet.to(memory_format=torch.channels_last)
pipeline.vae.to(memory_format=torch.channels_last)
photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (512, 512, 3), np.uint8))
mask = Image.new("L", (512, 512))
mask.paste(255, (128, 128, 384, 384))


def paint(steps):
    began = clock()
    picture = pipeline("a red apple", image=photo, mask_image=mask, num_inference_steps=steps, guidance_scale=7.5, height=512, width=512).images[0]
    picture.save(io.BytesIO(), "PNG")
    return clock() - began


paint(1)
print(json.dumps({
    "peer": f"diffusers {diffusers.__version__} {arguments.precision}",
    "steps": arguments.steps,
    "picture_s": paint(arguments.steps),
    "safety": pipeline.safety_checker is not None,
    "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}))
