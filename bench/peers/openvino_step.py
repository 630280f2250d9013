#!/usr/bin/env python3
"""OpenVINO's time for one guided step (batch 2, 64x64 latents) of a checkpoint's UNet, as JSON.

  openvino_step.py CHECKPOINT_FOLDER [--precision bf16|f32] [--runs N]
needs: pip install torch diffusers openvino
"""
import argparse
import json
import time

import numpy as np
import openvino as ov
import torch
from diffusers import UNet2DConditionModel

parser = argparse.ArgumentParser()
parser.add_argument("checkpoint")
parser.add_argument("--precision", default="bf16")
parser.add_argument("--runs", type=int, default=3)
arguments = parser.parse_args()

unet = UNet2DConditionModel.from_pretrained(f"{arguments.checkpoint}/unet", torch_dtype=torch.float32).eval()


class Call(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, context):
        return self.unet(sample, timestep, context, return_dict=False)[0]


width = unet.config.cross_attention_dim
example = torch.randn(2, 9, 64, 64), torch.tensor(500.0), torch.randn(2, 77, width)
converted = ov.convert_model(Call(), example_input=example, input=[(2, 9, 64, 64), (), (2, 77, width)])
request = ov.Core().compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": arguments.precision}).create_infer_request()
inputs = [example[0].numpy(), np.float32(500), example[2].numpy()]
times = []
for _ in range(arguments.runs + 1):  # the first one warms up
    began = time.time()
    request.infer(inputs)
    times.append(time.time() - began)
print(json.dumps({"peer": f"OpenVINO {ov.__version__.split('-')[0]} {arguments.precision}", "guided_step_s": min(times[1:])}))
