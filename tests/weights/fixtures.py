#!/usr/bin/env python3
"""Write the fixtures of tests/weights with the packages whose formats they are.

  fixtures.py small FOLDER        what is committed in tests/weights/torch
  fixtures.py names FILE          what is committed as tests/weights/original_names.txt
  fixtures.py forms TINY FOLDER   every form of a checkpoint, from tests/reference/tiny-checkpoint

Needs Python 3.10 or later with torch, safetensors, diffusers, transformers and numpy. Written with torch
2.15, safetensors 0.8 and diffusers 0.42; any newer ones should do.
"""
import collections, json, os, shutil, sys, types
import numpy as np
import safetensors.torch
import torch


# ---------------------------------------------------------------- small files of torch's own format

def small(folder):
    os.makedirs(folder, exist_ok=True)
    at = lambda name: os.path.join(folder, name)
    count = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4)
    tensors = collections.OrderedDict(
        f32=count / 7, f16=(count / 7).half(), bf16=(count / 7).bfloat16(), f64=count.double() / 7, i64=torch.tensor([-1, 2**40]),
        i32=torch.tensor([-7, 7], dtype=torch.int32), i16=torch.tensor([-300, 300], dtype=torch.int16),
        i8=torch.tensor([-5, 5], dtype=torch.int8), u8=torch.tensor([200], dtype=torch.uint8), flags=torch.tensor([True, False, True]),
        scalar=torch.tensor(0.5), empty=torch.zeros(0, 4))
    tensors["a.name with spaces, \u00e9"] = torch.ones(1, 3, 1)
    safetensors.torch.save_file({k: v.clone() for k, v in tensors.items()}, at("plain.safetensors"))
    # Parameters, views into a shared storage, strides of dimensions of size 1, attributes of the dictionary.
    shared = torch.cat([torch.zeros(5), tensors["f32"].flatten(), torch.zeros(3)])
    written = collections.OrderedDict(tensors)
    written["f32"] = shared[5:29].view(2, 3, 4)
    written["f16"] = torch.nn.Parameter(tensors["f16"])
    written["a.name with spaces, \u00e9"] = torch.as_strided(torch.ones(3), (1, 3, 1), (77, 1, 5))
    written._metadata = collections.OrderedDict({"": {"version": 1}})
    torch.save(written, at("plain.bin"))
    torch.save(dict(written), at("protocol4.bin"), pickle_protocol=4)
    torch.save(written, at("legacy.bin"), _use_new_zipfile_serialization=False)
    # What a training program saves around the weights.
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    module.ModelCheckpoint = type("ModelCheckpoint", (), {"__module__": module.__name__})
    for name in ("pytorch_lightning", "pytorch_lightning.callbacks"): sys.modules[name] = types.ModuleType(name)
    sys.modules[module.__name__] = module
    around = {"epoch": 3, "global_step": 2**33, "loss": 0.25, "callbacks": {module.ModelCheckpoint: {"best": np.float64(0.5), "path": None}},
              "schedules": [1, -2, (3.5, "x")], "state_dict": written}
    torch.save(around, at("lightning.ckpt"))
    torch.save({"turned": torch.arange(6.).reshape(2, 3).t()}, at("turned.bin"))
    torch.save([torch.zeros(2)], at("list.bin"))
    torch.save({"step": 1}, at("none.bin"))
    class Evil:
        def __reduce__(self): return (os.system, ("touch /tmp/should-not-exist",))
    torch.save({"a": torch.zeros(2), "b": Evil()}, at("evil.bin"))


def main():
    command, arguments = sys.argv[1:2], sys.argv[2:]
    if command == ["small"] and len(arguments) == 1: small(*arguments)
    else: sys.exit(__doc__)


main()
