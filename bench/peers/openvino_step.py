#!/usr/bin/env python3
"""OpenVINO's time for one guided step (batch 2, 64x64 latents) of a checkpoint's UNet, as JSON.

  openvino_step.py CHECKPOINT_FOLDER [--precision bf16|f32] [--runs N] [--cache FOLDER]
needs: pip install torch diffusers openvino
--cache keeps the converted network, which takes minutes to make.
"""
import argparse
import json
import os
import time

import numpy as np
import openvino as ov

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("--precision", default="bf16")
parser.add_argument("--runs", type=int, default=3)
parser.add_argument("--cache")
parser.add_argument("--cpu", action="store_true", help="the processor's time, shared out over all of them, for busy machines")
arguments = parser.parse_args()
clock = (lambda: time.process_time() / len(os.sched_getaffinity(0))) if arguments.cpu else time.time
with open(f"{arguments.checkpoint}/unet/config.json") as file:
    width = json.load(file)["cross_attention_dim"]


def convert():
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(f"{arguments.checkpoint}/unet", torch_dtype=torch.float32).eval()

    class Call(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.unet = unet

        def forward(self, sample, timestep, context):
            return self.unet(sample, timestep, context, return_dict=False)[0]

    example = torch.randn(2, 9, 64, 64), torch.tensor(500.0), torch.randn(2, 77, width)
    return ov.convert_model(Call(), example_input=example, input=[(2, 9, 64, 64), (), (2, 77, width)])


core = ov.Core()
if arguments.cache:
    network = os.path.join(arguments.cache, "unet.xml")
    if not os.path.exists(network):
        os.makedirs(arguments.cache, exist_ok=True)
        ov.save_model(convert(), network, compress_to_fp16=True)  # the checkpoint is f16: nothing is lost
    network = core.read_model(network)
else:
    network = convert()
request = core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": arguments.precision}).create_infer_request()
random = np.random.default_rng(1)
inputs = [random.standard_normal(shape, np.float32) for shape in ((2, 9, 64, 64), (2, 77, width))]
inputs.insert(1, np.float32(500))
times = []
for _ in range(arguments.runs + 1):  # the first one warms up
    began = clock()
    request.infer(inputs)
    times.append(clock() - began)
print(json.dumps({"peer": f"OpenVINO {ov.__version__.split('-')[0]} {arguments.precision}", "guided_step_s": min(times[1:])}))
