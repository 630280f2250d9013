#!/usr/bin/env python3
"""Write the fixtures of tests/weights with the packages whose formats they are.

  fixtures.py small FOLDER        what is committed in tests/weights/torch
  fixtures.py names TINY FILE     what is committed as tests/weights/original_names.txt
  fixtures.py forms TINY FOLDER   every form of a checkpoint, from tests/reference/tiny-checkpoint
  fixtures.py packed FILE         what is committed as tests/weights/forms.tar.xz: every form of two very small checkpoints

Needs Python 3.10 or later with torch, safetensors, diffusers, transformers and numpy. Written with torch
2.15, safetensors 0.8 and diffusers 0.42; any newer ones should do.
"""
import collections, json, math, os, shutil, sys, tarfile, tempfile, types
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


# ---------------------------------------------------------------- the original names

UNET_ENDS = {"conv_in": "input_blocks.0.0", "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
             "conv_norm_out": "out.0", "conv_out": "out.2"}
RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0", "conv2": "out_layers.3",
          "conv_shortcut": "skip_connection"}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def original_unet(name, names):
    owner, leaf = name.rsplit(".", 1)
    if owner in UNET_ENDS: return f"{UNET_ENDS[owner]}.{leaf}"
    part = owner.split(".")
    if part[0] == "mid_block":
        place = {("resnets", "0"): 0, ("attentions", "0"): 1, ("resnets", "1"): 2}[part[1], part[2]]
        rest = ".".join(part[3:])
        return f"middle_block.{place}.{RESNET[rest] if part[1] == 'resnets' else rest}.{leaf}"
    block, kind, layer, rest = int(part[1]), part[2], int(part[3]), ".".join(part[4:])
    if part[0] == "down_blocks":
        if kind == "downsamplers": return f"input_blocks.{3 * block + 3}.0.op.{leaf}"
        return f"input_blocks.{3 * block + layer + 1}." + (f"0.{RESNET[rest]}" if kind == "resnets" else f"1.{rest}") + f".{leaf}"
    if kind == "upsamplers":
        attends = any(n.startswith(f"up_blocks.{block}.attentions") for n in names)
        return f"output_blocks.{3 * block + 2}.{2 if attends else 1}.conv.{leaf}"
    return f"output_blocks.{3 * block + layer}." + (f"0.{RESNET[rest]}" if kind == "resnets" else f"1.{rest}") + f".{leaf}"


def original_vae(name):
    name = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
    part = name.split(".")
    if "mid_block" in part:
        if part[2] == "resnets": return ".".join([part[0], "mid", f"block_{int(part[3]) + 1}"] + part[4:])
        return ".".join([part[0], "mid", "attn_1", ATTENTION[".".join(part[4:-1])], part[-1]])
    if len(part) > 2 and part[1] in ("down_blocks", "up_blocks"):
        up = part[1] == "up_blocks"
        head = [part[0], "up" if up else "down", str(3 - int(part[2]) if up else int(part[2]))]
        return ".".join(head + (["block", part[4]] + part[5:] if part[3] == "resnets" else ["upsample" if up else "downsample"] + part[5:]))
    return name


OPEN_CLIP = {"embeddings.token_embedding.weight": "token_embedding.weight", "embeddings.position_embedding.weight": "positional_embedding",
             "final_layer_norm.weight": "ln_final.weight", "final_layer_norm.bias": "ln_final.bias"}
OPEN_CLIP_PARTS = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj", "self_attn.out_proj": "attn.out_proj"}


def original_open_clip(text):
    """Version 2's text encoder: under OpenCLIP's names, with one layer more, which is not used."""
    text = {n.removeprefix("text_model."): t for n, t in text.items()}
    layers = 1 + max(int(n.split(".")[2]) for n in text if n.startswith("encoder."))
    tensors = {OPEN_CLIP[n]: t for n, t in text.items() if n in OPEN_CLIP}
    for i in range(layers + 1):
        get = lambda name: text[f"encoder.layers.{i}.{name}"] if i < layers else 2 * text[f"encoder.layers.0.{name}"]
        at = f"transformer.resblocks.{i}."
        for leaf in ("weight", "bias"):
            for part, original in OPEN_CLIP_PARTS.items(): tensors[f"{at}{original}.{leaf}"] = get(f"{part}.{leaf}")
            tensors[f"{at}attn.in_proj_{leaf}"] = torch.cat([get(f"self_attn.{q}_proj.{leaf}") for q in "qkv"])
    width = tensors["ln_final.weight"].shape[0]
    tensors |= {"text_projection": torch.ones(width, width), "logit_scale": torch.tensor(4.6), "attn_mask": torch.zeros(77, 77)}
    return {"cond_stage_model.model." + n: t for n, t in tensors.items()}


def read_tiny(tiny, name):
    stem = "model" if name in ("text_encoder", "safety_checker") else "diffusion_pytorch_model"
    return safetensors.torch.load_file(os.path.join(tiny, name, stem + ".safetensors"))


def text_width(text):
    return next(t.shape[1] for n, t in text.items() if n.endswith("token_embedding.weight"))


def original_checkpoint(tiny):
    """The tensors under the original names, and [(original, diffusers')]; diffusers' own converter must agree."""
    import diffusers.loaders.single_file_utils as single_file
    config = lambda name: json.load(open(os.path.join(tiny, name, "config.json")))
    unet, vae, text = read_tiny(tiny, "unet"), read_tiny(tiny, "vae"), read_tiny(tiny, "text_encoder")
    pairs = [("model.diffusion_model." + original_unet(n, unet), n, t) for n, t in unet.items()]
    pairs += [("first_stage_model." + original_vae(n), n, t[:, :, None, None] if "attentions" in n and t.dim() == 2 else t) for n, t in vae.items()]
    second = config("text_encoder")["hidden_act"] == "gelu"
    if not second: pairs += [("cond_stage_model.transformer." + n, n, t) for n, t in text.items()]
    tensors = {original: t for original, _, t in pairs}
    assert len(tensors) == len(pairs)
    if second:
        tensors |= original_open_clip(text)
        back = single_file.convert_open_clip_checkpoint(types.SimpleNamespace(config=types.SimpleNamespace(hidden_size=text_width(text))), dict(tensors))
        assert all(torch.equal(back["text_model." + n.removeprefix("text_model.")], t) for n, t in text.items())
    for back, want in ((single_file.convert_ldm_unet_checkpoint(dict(tensors), config("unet")), unet),
                       (single_file.convert_ldm_vae_checkpoint(dict(tensors), config("vae")), vae),
                       (text if second else single_file.convert_ldm_clip_checkpoint(dict(tensors)), text)):
        assert back.keys() == want.keys() and all(torch.equal(back[n].reshape(want[n].shape), want[n]) for n in want)
    return tensors, [(original, name) for original, name, _ in pairs]


def names(tiny, path):
    with open(path, "w") as f:
        for original, name in original_checkpoint(tiny)[1]: f.write(f"{original} {name}\n")


# ---------------------------------------------------------------- every form of a checkpoint

def forms(tiny, folder, shard="1MB"):
    """folder/reference, and beside it what must paint the same picture. The numbers are f16, so f32 holds the same."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel
    at = lambda *names: os.path.join(folder, *names)
    copy = lambda name: shutil.copytree(tiny, at(name))
    copy("reference")
    text = json.load(open(at("reference", "text_encoder", "config.json")))
    text["num_attention_heads"] = 1  # as wide as the real one's 64, so that a single file implies it
    tiny = at("reference")
    os.chmod(at("reference", "text_encoder", "config.json"), 0o644)
    json.dump(text, open(at("reference", "text_encoder", "config.json"), "w"))
    stems = {"unet": ("diffusion_pytorch_model",) * 2, "vae": ("diffusion_pytorch_model",) * 2, "text_encoder": ("model", "pytorch_model")}

    def each(form, save):
        copy(form)
        for name, (stem, torch_stem) in stems.items():
            os.remove(at(form, name, stem + ".safetensors"))
            save(read_tiny(tiny, name), at(form, name, stem), at(form, name, torch_stem))

    f32 = lambda tensors: {n: t.float() for n, t in tensors.items()}
    older = lambda tensors: {n.replace("to_q", "query").replace("to_k", "key").replace("to_v", "value").replace("to_out.0", "proj_attn") if n.split(".")[1:2] == ["mid_block"]
                             else n: t for n, t in tensors.items()}
    each("older.names", lambda tensors, _, stem: torch.save(older(tensors), stem + ".bin"))
    each("bin", lambda tensors, _, stem: torch.save(f32(tensors), stem + ".bin"))
    each("fp16.bin", lambda tensors, _, stem: torch.save(collections.OrderedDict(tensors), stem + ".fp16.bin"))
    each("fp16.safetensors", lambda tensors, stem, _: safetensors.torch.save_file(tensors, stem + ".fp16.safetensors"))
    each("f32.safetensors", lambda tensors, stem, _: safetensors.torch.save_file(f32(tensors), stem + ".safetensors"))

    # One of each.
    copy("mixed")
    for name, source, file in (("unet", "fp16.bin", "diffusion_pytorch_model.fp16.bin"), ("vae", "fp16.safetensors", "diffusion_pytorch_model.fp16.safetensors"),
                               ("text_encoder", "bin", "pytorch_model.bin")):
        os.remove(at("mixed", name, stems[name][0] + ".safetensors"))
        os.link(at(source, name, file), at("mixed", name, file))

    # What the packages themselves save, whole and in pieces.
    pieces = {"max_shard_size": shard}
    for form, arguments in (("saved", {}), ("saved.shards", pieces), ("saved.bin", {"safe_serialization": False}),
                            ("saved.bin.shards", {"safe_serialization": False} | pieces)):
        copy(form)
        for name, kind in (("unet", UNet2DConditionModel), ("vae", AutoencoderKL), ("text_encoder", CLIPTextModel)):
            if name == "text_encoder" and form != "saved": continue
            model = kind.from_pretrained(at("reference", name))
            stem = stems[name][0]
            os.remove(at(form, name, stem + ".safetensors"))
            model.save_pretrained(at(form, name), **arguments)

    tensors, _ = original_checkpoint(tiny)
    extra = {"model_ema.decay": torch.tensor(0.5), "betas": torch.zeros(1000)}
    safetensors.torch.save_file({n: t.contiguous() for n, t in (tensors | extra).items()}, at("single.safetensors"))
    torch.save({"global_step": 3, "state_dict": f32(tensors | extra)}, at("single.ckpt"))
    singles(tensors, at)


def singles(tensors, at):
    bf16 = {n: t.bfloat16() for n, t in tensors.items()}
    safetensors.torch.save_file({n: t.contiguous() for n, t in bf16.items()}, at("single.bf16.safetensors"))
    torch.save({"state_dict": bf16}, at("single.bf16.ckpt"))


# ---------------------------------------------------------------- two very small checkpoints in every form

def very_small(folder, second, tiny):
    """A checkpoint of version 1 or 2 whose configs follow from its shapes."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer
    at = lambda *names: os.path.join(folder, *names)
    generator = torch.Generator().manual_seed(77 + second)

    def save(model, name):
        with torch.no_grad():
            for n, p in model.named_parameters():
                u = (torch.rand(p.shape, generator=generator) * 16 - 8).round() / 8  # few bits: the same in f16 and bf16, and packs well
                owner, leaf = n.rsplit(".", 1)
                fan = 2.0 ** round(math.log2(math.sqrt(3 / max(1, p[0].numel()))))
                p.copy_(1 + u / 8 if "norm" in owner and leaf == "weight" else u / 16 if leaf == "bias" else u / 2 if "_embedding" in owner and "time" not in owner
                        else u * fan)
                if owner.endswith("token_embedding"): p[[i for i in range(p.shape[0]) if i not in used]] = 0  # so that it packs well
        model.half().save_pretrained(at(name))

    shutil.copytree(os.path.join(tiny, "tokenizer"), at("tokenizer"))
    if second:
        config = json.load(open(at("tokenizer", "tokenizer_config.json")))
        os.chmod(at("tokenizer", "tokenizer_config.json"), 0o644)
        json.dump(config | {"pad_token": "!"}, open(at("tokenizer", "tokenizer_config.json"), "w"))
    used = {i for prompt in ("a cat", "") for i in CLIPTokenizer.from_pretrained(at("tokenizer"))(prompt, padding="max_length", max_length=77).input_ids}
    save(UNet2DConditionModel(sample_size=64, in_channels=9, layers_per_block=2, block_out_channels=(32,), down_block_types=("CrossAttnDownBlock2D",),
                              up_block_types=("CrossAttnUpBlock2D",), attention_head_dim=8, cross_attention_dim=16, use_linear_projection=bool(second)), "unet")
    save(CLIPTextModel(CLIPTextConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=1, projection_dim=16,
                                      hidden_act="gelu" if second else "quick_gelu")), "text_encoder")
    generator.manual_seed(99)  # both have the same autoencoder
    save(AutoencoderKL(block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
                       layers_per_block=1), "vae")
    shutil.copytree(os.path.join(tiny, "scheduler"), at("scheduler"))
    index = json.load(open(os.path.join(tiny, "model_index.json")))
    json.dump(index | {"safety_checker": [None, None], "feature_extractor": [None, None]}, open(at("model_index.json"), "w"))


def packed(path):
    tiny = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "reference", "tiny-checkpoint")
    with tempfile.TemporaryDirectory() as folder:
        at = lambda *names: os.path.join(folder, *names)
        very_small(at("first"), False, tiny)
        very_small(at("second"), True, tiny)
        forms(at("first"), at("forms"), "300KB")
        shutil.copytree(at("second"), at("forms-2", "reference"))
        tensors, _ = original_checkpoint(at("second"))
        safetensors.torch.save_file({n: t.contiguous() for n, t in tensors.items()}, at("forms-2", "single.safetensors"))
        torch.save({"state_dict": tensors}, at("forms-2", "single.ckpt"))

        # Without the tokenizers, which the test copies from tests/reference.
        def plain(info):
            info.uid = info.gid = info.mtime = 0
            info.uname = info.gname = ""
            return info

        with tarfile.open(path, "w:xz", preset=9) as archive:
            for name in ("forms", "forms-2"): archive.add(at(name), name, filter=lambda info: None if "tokenizer" in info.name else plain(info))


def main():
    command, arguments = sys.argv[1:2], sys.argv[2:]
    if command == ["small"] and len(arguments) == 1: small(*arguments)
    elif command == ["names"] and len(arguments) == 2: names(*arguments)
    elif command == ["packed"] and len(arguments) == 1: packed(*arguments)
    elif command == ["forms"] and len(arguments) == 2: forms(*arguments)
    else: sys.exit(__doc__)


main()
