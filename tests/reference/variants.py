#!/usr/bin/env python3
"""Reference results of today's diffusers, transformers and peft for what comes beside Stable Diffusion 1.

  variants.py sd2 FOLDER         FOLDER/sd2-checkpoint and FOLDER/sd2: a small random checkpoint of Stable Diffusion 2's kind
  variants.py lora FOLDER        FOLDER/lora: LoRA files for FOLDER/tiny-checkpoint, and what is painted with them
  variants.py schedulers FOLDER  FOLDER/few: schedules and walks of the samplers for few steps
  variants.py taesd FOLDER       FOLDER/taesd: a small random AutoencoderTiny, and what it decodes of FOLDER/tiny's latents

FOLDER is tests/reference. Made with diffusers 0.42, transformers 5.24, peft 0.21, torch 2.15; any newer ones should do.
Noise is torch's own of the CPU.
"""
import copy, json, math, os, random, shutil, sys
import numpy as np
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file, save_file
import diffusers
from diffusers import (AutoencoderKL, AutoencoderTiny, DDIMScheduler, LCMScheduler, StableDiffusionInpaintPipeline, TCDScheduler,
                       UNet2DConditionModel)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

torch.set_grad_enabled(False)
SCALE = 0.18215


def write_json(path, value):
    with open(path, "w") as f: f.write(json.dumps(value, indent=1) + "\n")


def fill(module, seed):
    """Random weights, small enough for f16, so that every layer matters and nothing grows."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        u = torch.rand(parameter.shape, generator=generator) * 2 - 1
        owner, leaf = name.rsplit(".", 1)
        if "norm" in owner and leaf == "weight": u = 1 + 0.1 * u
        elif leaf == "bias": u = 0.05 * u
        elif "embedding" in name and leaf == "weight" and "time" not in name: u = 0.5 * u
        else: u = u * math.sqrt(3 / max(1, parameter[0].numel()))
        parameter.copy_(u.half().float())
    return module.eval()


# ---------------------------------------------------------------- pictures

def picture(w, h, seed):
    r, (yy, xx) = random.Random(seed), np.mgrid[0:h, 0:w]
    p = np.stack([127 + 60 * np.sin(xx / r.uniform(5, 20) + c) + 60 * np.cos(yy / r.uniform(5, 20)) for c in range(3)], -1)
    image = Image.fromarray(p.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y, s = r.randrange(w), r.randrange(h), r.randrange(4, w // 3)
        draw.ellipse((x, y, x + s, y + s), fill=tuple(r.randrange(256) for _ in range(3)))
    return image


def mask_picture(w, h):
    mask = Image.new("L", (w, h), 0)
    draw = ImageDraw.Draw(mask)
    draw.rectangle((w // 4, h // 4, w * 3 // 4, h * 2 // 3), fill=255)
    draw.ellipse((w // 2, h // 8, w // 2 + w // 3, h // 2), fill=200)
    return mask


class Cases:
    """pipeline.json, pipeline.safetensors and the pictures of one folder."""

    def __init__(self, folder, size):
        self.folder, self.size, self.rows, self.latents = folder, size, [], {}
        os.makedirs(folder, exist_ok=True)
        self.image, self.mask = picture(*size, 7), mask_picture(*size)
        self.image.save(os.path.join(folder, "image.png"))
        self.mask.save(os.path.join(folder, "mask.png"))

    def paint(self, pipe, prompt, negative, steps, guidance, seed, decoder=None, eta=0.0, **more):
        """One picture; `more` is what the test must do besides. decoder: (latent, scaled) -> picture in [-1, 1]."""
        seen, decode = [], pipe.vae.decode

        def tapped(z, **arguments):
            seen.append(z.clone() * SCALE)
            return (decoder(seen[-1]),) if decoder else decode(z, **arguments)

        pipe.vae.decode = tapped
        out = pipe(prompt=prompt, negative_prompt=negative, image=self.image, mask_image=self.mask, width=self.size[0], height=self.size[1],
                   num_inference_steps=steps, guidance_scale=guidance, eta=eta, generator=torch.Generator().manual_seed(seed)).images[0]
        pipe.vae.decode = decode
        i = len(self.rows)
        out.save(os.path.join(self.folder, f"out-{i}.png"))
        self.latents[f"{i}.final_latent"] = seen[0]
        self.rows.append(dict(image="image.png", mask="mask.png", prompt=prompt, negative_prompt=negative, num_inference_steps=steps,
                              guidance_scale=guidance, num_outputs=1, seed=seed, invert_mask=False, noise="mt19937",
                              outputs=[f"out-{i}.png"], **more))

    def save(self):
        save_file(self.latents, os.path.join(self.folder, "pipeline.safetensors"))
        write_json(os.path.join(self.folder, "pipeline.json"), self.rows)


def pipeline(vae, text, tokenizer, unet, scheduler):
    pipe = StableDiffusionInpaintPipeline(vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet, scheduler=scheduler, safety_checker=None,
                                          feature_extractor=None, requires_safety_checker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


SCHEDULE = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", num_train_timesteps=1000, set_alpha_to_one=False,
                steps_offset=1, clip_sample=False)


# ---------------------------------------------------------------- Stable Diffusion 2

def tokenizer_2(folder):
    """CLIP's tokenizer as version 2 comes with it: padded with "!"."""
    os.makedirs(folder, exist_ok=True)
    for name in ("vocab.json", "merges.txt"): os.symlink("../../tiny-checkpoint/tokenizer/" + name, os.path.join(folder, name))
    write_json(os.path.join(folder, "tokenizer_config.json"),
               dict(add_prefix_space=False, bos_token="<|startoftext|>", do_lower_case=True, eos_token="<|endoftext|>", errors="replace",
                    model_max_length=77, pad_token="!", tokenizer_class="CLIPTokenizer", unk_token="<|endoftext|>"))


def sd2(root):
    at = lambda *names: os.path.join(root, "sd2-checkpoint", *names)
    shutil.rmtree(at(), ignore_errors=True)
    tokenizer_2(at("tokenizer"))
    unet = UNet2DConditionModel(sample_size=16, in_channels=9, out_channels=4, layers_per_block=1, block_out_channels=(32, 64),
                                down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
                                attention_head_dim=[8, 1], cross_attention_dim=32, use_linear_projection=True, norm_num_groups=32)
    text = CLIPTextModel(CLIPTextConfig(vocab_size=49408, hidden_size=32, intermediate_size=96, num_hidden_layers=3, num_attention_heads=1,
                                        hidden_act="gelu", max_position_embeddings=77, projection_dim=32, bos_token_id=0, eos_token_id=2,
                                        pad_token_id=1))
    fill(unet, 1).half().save_pretrained(at("unet"))
    fill(text, 2)
    tokens = CLIPTokenizer.from_pretrained(at("tokenizer"))
    prompts = ["a cat", "two owls, and a moon", "blurry", ""]
    used = sorted({i for prompt in prompts for i in tokens(prompt, padding="max_length", max_length=77).input_ids})
    table = text.get_input_embeddings().weight
    kept = table[used].clone()
    table.zero_()  # so that the file packs well
    table[used] = kept
    text.half().save_pretrained(at("text_encoder"))
    os.symlink("../tiny-checkpoint/vae", at("vae"))
    scheduler = DDIMScheduler(**SCHEDULE, prediction_type="v_prediction")
    scheduler.save_pretrained(at("scheduler"))
    write_json(at("model_index.json"),
               dict(_class_name="StableDiffusionInpaintPipeline", _diffusers_version=diffusers.__version__, feature_extractor=[None, None],
                    safety_checker=[None, None], scheduler=["diffusers", "DDIMScheduler"], text_encoder=["transformers", "CLIPTextModel"],
                    tokenizer=["transformers", "CLIPTokenizer"], unet=["diffusers", "UNet2DConditionModel"], vae=["diffusers", "AutoencoderKL"]))
    # Everything as a reader of the folder gets it.
    pipe = pipeline(AutoencoderKL.from_pretrained(at("vae")), CLIPTextModel.from_pretrained(at("text_encoder"), dtype=torch.float32),
                    CLIPTokenizer.from_pretrained(at("tokenizer")), UNet2DConditionModel.from_pretrained(at("unet")),
                    DDIMScheduler.from_pretrained(at("scheduler")))
    pipe.vae.float(), pipe.unet.float()
    ids = pipe.tokenizer("a cat", padding="max_length", max_length=77).input_ids
    assert ids[3] == 49407 and ids[4:] == [0] * 73, ids  # the end, then "!"
    cases = Cases(os.path.join(root, "sd2"), (64, 72))
    cases.paint(pipe, "a cat", None, 4, 7.5, 11)
    cases.paint(pipe, "two owls, and a moon", "blurry", 3, 5.0, 12)
    pipe.scheduler = DDIMScheduler(**SCHEDULE)
    cases.paint(pipe, "a cat", None, 4, 7.5, 13, prediction_type="epsilon")
    cases.save()


# ---------------------------------------------------------------- LoRA

def tiny(root):
    at = lambda name: os.path.join(root, "tiny-checkpoint", name)
    return pipeline(AutoencoderKL.from_pretrained(at("vae"), torch_dtype=torch.float32), CLIPTextModel.from_pretrained(at("text_encoder"), dtype=torch.float32),
                    CLIPTokenizer.from_pretrained(at("tokenizer")), UNet2DConditionModel.from_pretrained(at("unet"), torch_dtype=torch.float32),
                    DDIMScheduler.from_pretrained(at("scheduler")))


RANK = 2


def changes(module, wanted, seed):
    """{name of a layer: (down, up)} for the layers that `wanted` picks; convolutions as LoCon has them."""
    generator, made = torch.Generator().manual_seed(seed), {}
    for name, layer in module.named_modules():
        if not isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)) or not wanted(name): continue
        down, up = torch.rand(RANK, *layer.weight.shape[1:], generator=generator), torch.rand(layer.weight.shape[0], RANK, generator=generator)
        down, up = (down * 2 - 1) * math.sqrt(3 / down[0].numel()), (up * 2 - 1) * 0.5
        made[name] = down, up[:, :, None, None] if layer.weight.dim() == 4 else up
    return made


ATTENTION = lambda name: any(p in name for p in (".attn", "self_attn", ".ff.", ".mlp.", "proj_in", "proj_out"))
SELF = lambda name: name.endswith(("to_q", "to_k", "to_v", "to_out.0", "q_proj", "k_proj", "v_proj", "out_proj"))


def kohya(prefix, made, alpha, dtype):
    tensors = {}
    for name, (down, up) in made.items():
        base = prefix + name.replace(".", "_")
        tensors[base + ".lora_down.weight"], tensors[base + ".lora_up.weight"] = down.to(dtype), up.to(dtype)
        if alpha is not None: tensors[base + ".alpha"] = torch.tensor(alpha, dtype=dtype)
    return tensors


def lora(root):
    folder = os.path.join(root, "lora")
    os.makedirs(folder, exist_ok=True)
    at = lambda name: os.path.join(folder, name)
    pipe = tiny(root)
    text_prefix = "" if any(n.startswith("text_model.") for n, _ in pipe.text_encoder.named_modules()) else "text_model."
    te = lambda made: {text_prefix + name: pair for name, pair in made.items()}
    contiguous = lambda tensors: {name: tensor.contiguous() for name, tensor in tensors.items()}
    files = {}
    files["kohya.safetensors"] = (kohya("lora_unet_", changes(pipe.unet, ATTENTION, 21), 1.0, torch.float16)
                                  | kohya("lora_te_", te(changes(pipe.text_encoder, ATTENTION, 22)), 1.0, torch.float16))
    # LoCon: convolutions too. Without alpha, which then is the rank.
    convolutions = lambda name: name.startswith(("down_blocks.1", "up_blocks.2")) and name.split(".")[-1] in ("conv1", "conv2", "conv", "conv_shortcut", "to_q", "time_emb_proj")
    files["locon.safetensors"] = kohya("lora_unet_", changes(pipe.unet, convolutions, 23), None, torch.bfloat16)
    few = lambda name: name.startswith(("down_blocks.0", "up_blocks.3", "mid_block")) and SELF(name)
    unet, text = changes(pipe.unet, few, 24), te(changes(pipe.text_encoder, SELF, 25))
    peft = {f"unet.{n}.lora_{side}.weight": t for n, pair in unet.items() for side, t in zip("AB", pair)}
    files["peft.safetensors"] = peft | {f"text_encoder.{n}.lora_{side}.weight": t for n, pair in text.items() for side, t in zip("AB", pair)}
    def processor(name):
        owner, layer = name.removesuffix(".0").rsplit(".", 1)
        return f"unet.{owner}.processor.{layer}_lora"
    files["processors.safetensors"] = {f"{processor(n)}.{side}.weight": t for n, pair in unet.items() for side, t in zip(("down", "up"), pair)}
    for name, tensors in files.items(): save_file(contiguous(tensors), at(name))
    # The same as "peft", with alpha where today's diffusers puts it, and as a pickle.
    metadata = {"unet.r": RANK, "unet.lora_alpha": 1, "text_encoder.r": RANK, "text_encoder.lora_alpha": 3,
                "unet.target_modules": ["to_q", "to_k", "to_v", "to_out.0"], "text_encoder.target_modules": ["q_proj", "k_proj", "v_proj", "out_proj"]}
    save_file(contiguous(files["peft.safetensors"]), at("metadata.safetensors"), {"format": "pt", "lora_adapter_metadata": json.dumps(metadata, sort_keys=True)})
    torch.save(files["peft.safetensors"], at("peft.bin"))

    cases = Cases(folder, (64, 64))

    def case(loras, steps=3, guidance=7.5, scheduler=None, **more):
        pipe = tiny(root)
        if scheduler: pipe.scheduler = scheduler
        for name, weight in loras:
            pipe.load_lora_weights(folder, weight_name=name)
            pipe.fuse_lora(lora_scale=weight)
            pipe.unload_lora_weights()
        cases.paint(pipe, "a cat", "blurry" if guidance > 1 else None, steps, guidance, 20, loras=[list(pair) for pair in loras], **more)

    case([])
    for name in ("kohya", "locon", "peft", "processors", "metadata"): case([(name + ".safetensors", 0.8)])
    case([("peft.bin", 0.8)])
    case([("kohya.safetensors", 1.0), ("locon.safetensors", -0.5)])
    case([("kohya.safetensors", 1.0)], 4, 1.0, LCMScheduler.from_config(DDIMScheduler(**SCHEDULE).config), sampler="lcm")
    case([("kohya.safetensors", 1.0)], 4, 1.5, TCDScheduler.from_config(DDIMScheduler(**SCHEDULE).config), sampler="tcd", eta=0.3)
    case([("kohya.safetensors", 1.0)], 4, 1.0, DDIMScheduler(**SCHEDULE, timestep_spacing="trailing"), sampler="ddim-trailing")
    plain = cases.latents["0.final_latent"]
    for i in range(1, len(cases.rows)): assert (cases.latents[f"{i}.final_latent"] - plain).norm() > 0.1 * plain.norm(), cases.rows[i]
    cases.save()


# ---------------------------------------------------------------- samplers for few steps

def schedulers(root):
    """Walks on the made-up model eps = 0.8 tanh(x) + 0.1 sin(t / 100), or v the same."""
    folder = os.path.join(root, "few")
    os.makedirs(folder, exist_ok=True)
    kinds = {"lcm": LCMScheduler, "tcd": TCDScheduler, "ddim-trailing": lambda **c: DDIMScheduler(**c, timestep_spacing="trailing"),
             "lcm-v": lambda **c: LCMScheduler(**c, prediction_type="v_prediction"), "tcd-v": lambda **c: TCDScheduler(**c, prediction_type="v_prediction"),
             "ddim-trailing-v": lambda **c: DDIMScheduler(**c, timestep_spacing="trailing", prediction_type="v_prediction")}
    tensors, steps_of = {}, {}
    for k, (name, make) in enumerate(kinds.items()):
        for steps in (1, 2, 3, 4, 6, 7, 8, 11, 16, 25, 50) + ((333,) if "ddim" in name else ()):
            scheduler = make(**SCHEDULE)
            scheduler.set_timesteps(steps)
            case = f"{name}.{steps}"
            steps_of[case] = [int(t) for t in scheduler.timesteps]
            if steps > 16: continue
            start = torch.Generator().manual_seed(100 * k + steps)
            x = torch.randn(1, 4, 4, 4, generator=start)
            tensors[case + ".start"] = x
            generator = torch.Generator().manual_seed(steps)  # of the noise between steps: from this seed
            for t in scheduler.timesteps:
                e = torch.tanh(x) * 0.8 + 0.1 * math.sin(float(t) / 100)
                x = scheduler.step(e, t, x, **({} if "ddim" in name else {"generator": generator})).prev_sample
            tensors[case + ".final"] = x
    save_file(tensors, os.path.join(folder, "schedulers.safetensors"))
    write_json(os.path.join(folder, "schedulers.json"), steps_of)


# ---------------------------------------------------------------- the tiny autoencoder

def taesd(root):
    folder = os.path.join(root, "taesd")
    shutil.rmtree(folder, ignore_errors=True)
    tiny_vae = fill(AutoencoderTiny(encoder_block_out_channels=(16,) * 4, decoder_block_out_channels=(16,) * 4,
                                    num_encoder_blocks=(1, 3, 3, 3), num_decoder_blocks=(3, 3, 3, 1)), 31)
    tiny_vae.half().save_pretrained(os.path.join(folder, "vae"))
    tiny_vae.float()
    # The names of its author's own files.
    decoder = {k.removeprefix("decoder.layers."): v for k, v in tiny_vae.state_dict().items() if k.startswith("decoder.")}
    decoder = {f"{int(k.split('.')[0]) + 1}.{k.split('.', 1)[1]}": v.half() for k, v in decoder.items()}
    save_file(decoder, os.path.join(folder, "taesd_decoder.safetensors"))
    cases = Cases(folder, (64, 72))
    cases.paint(tiny(root), "a cat", None, 3, 7.5, 41, decoder=lambda latent: tiny_vae.decode(latent).sample)
    cases.save()


def main():
    commands = dict(sd2=sd2, lora=lora, schedulers=schedulers, taesd=taesd)
    if len(sys.argv) != 3 or sys.argv[1] not in commands: sys.exit(__doc__)
    commands[sys.argv[1]](sys.argv[2])


main()
