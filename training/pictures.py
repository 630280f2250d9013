"""The pictures that everything is learned from: things (cut-outs with names) and photographs (backgrounds)."""

import csv
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent
Image.MAX_IMAGE_PIXELS = None

THING_SIZE = 256  # longest side that a cut-out is kept at, pixels
PHOTO_SIZE = 720  # shorter side that a photograph is kept at, pixels
HELD_OUT = 6  # every so many photographs is kept for the evaluation


@dataclass
class Thing:
    phrase: str  # "a red apple": what the page offers
    names: list  # all phrases, this one first
    cutout: Image.Image  # RGBA, cropped to what is seen


def state_folder():
    """The folder of downloads, latents and checkpoints: TRAINING_STATE, or one in the cache of the user."""
    return Path(os.environ.get("TRAINING_STATE") or Path.home() / ".cache" / "inpaintd-training")


def _cutout(path):
    image = Image.open(path).convert("RGBA")
    box = image.getchannel("A").point(lambda alpha: 255 if alpha > 24 else 0).getbbox()
    image = image.crop(box)
    image.thumbnail((THING_SIZE, THING_SIZE), Image.LANCZOS)
    return image


def things():
    """-> [Thing], in the order of things.tsv."""
    unpacked = state_folder() / "unpacked"
    found = []
    with open(HERE / "things.tsv", encoding="utf-8") as lines:
        for row in csv.reader(lines, delimiter="\t"):
            if row[0].startswith("#"):
                continue
            picture, phrase, others = row
            if "/" in picture:
                path = unpacked / "usr/share/tuxpaint/stamps" / (picture + ".png")
            else:
                path = unpacked / "fluent/package/assets" / (picture + ".webp")
            names = [phrase] + [name.strip() for name in others.split(",") if name.strip()]
            found.append(Thing(phrase, names, _cutout(path)))
    return found


def _photograph_paths():
    share = state_folder() / "unpacked/usr/share"
    paths = [path for path in sorted((share / "backgrounds").rglob("*")) if path.suffix in (".jpg", ".png", ".webp")]
    paths = [path for path in paths if not re.search(r"Portrait|1136x640|1366x768|768x1024|2048x1536|symbolic|vnc", path.name)]
    for wallpaper in sorted((share / "wallpapers").iterdir()):
        sizes = sorted((wallpaper / "contents/images").glob("*"), key=lambda path: path.stat().st_size)
        paths += sizes[-1:]
    return paths


def photographs(held_out=False):
    """-> [RGB image]: those to learn from, or those that only the evaluation sees. Kept in the state folder at the size used."""
    kept = state_folder() / f"photographs-{'held-out' if held_out else 'learned'}.npz"
    if kept.exists():
        file = np.load(kept)
        return [Image.fromarray(file[name]) for name in file.files]
    found = []
    for index, path in enumerate(_photograph_paths()):
        if (index % HELD_OUT == 0) != held_out:
            continue
        try:
            image = Image.open(path)
            image.draft("RGB", (2 * PHOTO_SIZE, 2 * PHOTO_SIZE))
            image = image.convert("RGB")
        except OSError:
            continue  # a format that this Pillow lacks
        scale = PHOTO_SIZE / min(image.size)
        if scale < 1:
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.LANCZOS)
        if min(image.size) >= 256:
            found.append(image)
    np.savez(kept, *[np.asarray(image) for image in found])
    return found
