#!/usr/bin/env python3
"""diffusers' times for a guided step, encode and decode at 512x512 on a checkpoint folder, as JSON.

  diffusers_stages.py CHECKPOINT_FOLDER [--precision bf16|f32] [--runs N]
needs: pip install torch diffusers
"""
import argparse
import json
import os
import time

import diffusers
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("--precision", default="bf16")
parser.add_argument("--runs", type=int, default=2)
parser.add_argument("--cpu", action="store_true", help="the processor's time, shared out over all of them, for busy machines")
arguments = parser.parse_args()
clock = (lambda: time.process_time() / len(os.sched_getaffinity(0))) if arguments.cpu else time.time
dtype = torch.bfloat16 if arguments.precision == "bf16" else torch.float32
torch.set_grad_enabled(False)


def best(function):
    times = []
    for _ in range(arguments.runs + 1):  # the first one warms up
        began = clock()
        function()
        times.append(clock() - began)
    return min(times[1:])


unet = UNet2DConditionModel.from_pretrained(f"{arguments.checkpoint}/unet", torch_dtype=dtype).eval().to(memory_format=torch.channels_last)
vae = AutoencoderKL.from_pretrained(f"{arguments.checkpoint}/vae", torch_dtype=dtype).eval().to(memory_format=torch.channels_last)
sample, context = torch.randn(2, 9, 64, 64, dtype=dtype), torch.randn(2, 77, unet.config.cross_attention_dim, dtype=dtype)
image, latent = torch.randn(1, 3, 512, 512, dtype=dtype), torch.randn(1, 4, 64, 64, dtype=dtype)
print(json.dumps({
    "peer": f"diffusers {diffusers.__version__} {arguments.precision}",
    "guided_step_s": best(lambda: unet(sample, 500, encoder_hidden_states=context)),
    "encode_s": best(lambda: vae.encode(image).latent_dist.mode()),
    "decode_s": best(lambda: vae.decode(latent)),
}))
