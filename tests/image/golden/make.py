"""Writes this folder: small pictures in every format and mode, and what Pillow makes of them.

    python3 -m venv venv && venv/bin/pip install pillow==9.3.0 numpy && venv/bin/python make.py

Pillow 9.3 is of the time of the original predictor; 9.0 to 12.0 resize alike.
decode.txt:  FILE WIDTH HEIGHT ORIENTATION; the RGB bytes that convert("RGB") gives lie in FILE.rgb
resize.txt:  WIDTH HEIGHT CHANNELS KIND NEW_WIDTH NEW_HEIGHT; the results one after the other in resize.bin.
             The input is made by pixels() below, which the test repeats.
"""
import io, math, os, struct, zlib
import numpy as np
import PIL
from PIL import Image, ImageOps

assert PIL.__version__.startswith("9."), PIL.__version__
os.chdir(os.path.dirname(os.path.abspath(__file__)))
rng = np.random.default_rng(7)
lines = []


def photo(width, height, channels=3):
    y, x = np.mgrid[:height, :width]
    waves = [128 + 90 * np.sin(x / 5 + k) * np.cos(y / 4 - k) for k in range(channels)]
    return np.clip(np.stack(waves, -1) + rng.normal(0, 10, (height, width, channels)), 0, 255).astype(np.uint8)


def add(name, data, orientation=1):
    open(name, "wb").write(data)
    image = Image.open(io.BytesIO(data)).convert("RGB")
    open(name + ".rgb", "wb").write(image.tobytes())
    lines.append(f"{name} {image.width} {image.height} {orientation}\n")


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, interlaced=False, palette=None, transparency=None):
    """samples[height, width, channels]: PNG in formats that Pillow does not write."""
    def packed(part):
        rows = b""
        for row in part:
            flat = row.reshape(-1)
            if depth == 16: data = flat.astype(">u2").tobytes()
            elif depth == 8: data = flat.astype(np.uint8).tobytes()
            else:
                bits = "".join(format(int(v), f"0{depth}b") for v in flat)
                bits += "0" * (-len(bits) % 8)
                data = bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))
            rows += b"\0" + data
        return rows
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)] if interlaced else [(0, 0, 1, 1)]
    raw = b"".join(packed(samples[y::dy, x::dx]) for x, y, dx, dy in passes if samples[y::dy, x::dx].size)
    height, width = samples.shape[:2]
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
            + (chunk(b"PLTE", palette) if palette else b"") + (chunk(b"tRNS", transparency) if transparency else b"")
            + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def decode_cases():
    for depth, colour, channels in [(1, 0, 1), (2, 0, 1), (4, 0, 1), (8, 0, 1), (16, 0, 1), (8, 2, 3), (16, 2, 3), (1, 3, 1), (2, 3, 1),
                                    (4, 3, 1), (8, 3, 1), (8, 4, 2), (16, 4, 2), (8, 6, 4), (16, 6, 4)]:
        name = {0: "grey", 2: "rgb", 3: "palette", 4: "grey-alpha", 6: "rgba"}[colour]
        for interlaced in (False, True):
            # Most 16-bit grey values are above 255; some must not be.
            top = 400 if (depth, colour) == (16, 0) else 2 ** depth
            samples = rng.integers(0, top, (9, 11, channels))
            palette = rng.integers(0, 256, 3 * 2 ** depth, dtype=np.uint8).tobytes() if colour == 3 else None
            add(f"{name}-{depth}{'-interlaced' if interlaced else ''}.png", png(samples, depth, colour, interlaced, palette))
    samples = rng.integers(0, 16, (6, 7, 1))
    add("palette-short.png", png(samples, 4, 3, palette=bytes(range(50, 80)), transparency=bytes([0, 128])))
    add("grey-transparent.png", png(samples * 17, 8, 0, transparency=b"\0\x11"))
    add("interlaced-narrow.png", png(rng.integers(0, 256, (13, 1, 3)), 8, 2, True))
    add("interlaced-flat.png", png(rng.integers(0, 256, (1, 13, 3)), 8, 2, True))
    add("one-pixel.png", png(rng.integers(0, 256, (1, 1, 3)), 8, 2))

    rgb = Image.fromarray(photo(37, 23))
    add("444.jpg", saved(rgb, "JPEG", quality=93, subsampling=0))
    add("422.jpg", saved(rgb, "JPEG", quality=80, subsampling=1))
    add("420.jpg", saved(rgb, "JPEG", quality=70, subsampling=2))
    add("progressive.jpg", saved(rgb, "JPEG", quality=75, progressive=True))
    add("grey.jpg", saved(rgb.convert("L"), "JPEG", quality=75))
    add("one-pixel.jpg", saved(rgb.crop((0, 0, 1, 1)), "JPEG"))
    cmyk = saved(Image.fromarray(photo(19, 17, 4), "CMYK"), "JPEG", quality=85)
    add("cmyk.jpg", cmyk)
    adobe = cmyk.index(b"Adobe")
    add("ycck.jpg", cmyk[:adobe + 11] + b"\2" + cmyk[adobe + 12:])
    start = saved(rgb, "JPEG", subsampling=0).index(b"\xff\xdb")
    add("adobe-rgb.jpg", b"\xff\xd8\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0" + saved(rgb, "JPEG", subsampling=0)[start:])

    rgba = rgb.copy(); rgba.putalpha(Image.fromarray(photo(37, 23)[..., 0].copy()))
    add("lossy.webp", saved(rgb, "WEBP", quality=70))
    add("lossless.webp", saved(rgb, "WEBP", lossless=True))
    add("lossy-alpha.webp", saved(rgba, "WEBP", quality=70))
    add("lossless-alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True))
    add("one-pixel.webp", saved(rgb.crop((0, 0, 1, 1)), "WEBP"))
    frames = [Image.fromarray(photo(12, 10)) for _ in range(2)]
    add("animation.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True))

    small = Image.fromarray(photo(5, 3))
    for orientation in range(1, 9):
        exif = Image.Exif(); exif[0x112] = orientation
        add(f"orientation-{orientation}.png", saved(small, "PNG", exif=exif), orientation)
        turned = ImageOps.exif_transpose(Image.open(f"orientation-{orientation}.png"))
        open(f"orientation-{orientation}.turned", "wb").write(turned.tobytes())
    exif = Image.Exif(); exif[0x112] = 6
    add("orientation.jpg", saved(small, "JPEG", exif=exif), 6)
    add("orientation.webp", saved(small, "WEBP", lossless=True, exif=exif), 6)


def pixels(count, kind):
    """kind 0: any bytes; kind 1: 0 and 255 alone, so that the filter overshoots."""
    out, state = bytearray(count), 1
    for i in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out[i] = (state >> 24) if kind == 0 else 255 * (state >> 31)
    return np.frombuffer(bytes(out), np.uint8)


def resize_cases():
    sizes = [((1, 1), (9, 7)), ((1, 40), (8, 8)), ((40, 1), (8, 8)), ((16, 16), (1, 1)), ((33, 20), (33, 9)), ((33, 20), (12, 20)),
             ((33, 20), (33, 20)), ((7, 5), (40, 24)), ((64, 48), (24, 16)), ((67, 75), (64, 72)), ((13, 200), (8, 16)), ((300, 3), (16, 8)),
             ((20, 30), (21, 29)), ((2, 2), (16, 16)), ((1000, 2), (3, 1))]
    with open("resize.txt", "w") as text, open("resize.bin", "wb") as out:
        for (width, height), size in sizes:
            for channels in (1, 3):
                for kind in (0, 1):
                    data = pixels(width * height * channels, kind)
                    image = Image.fromarray(data.reshape((height, width, 3) if channels == 3 else (height, width)))
                    out.write(image.resize(size).tobytes())
                    text.write(f"{width} {height} {channels} {kind} {size[0]} {size[1]}\n")


decode_cases()
open("decode.txt", "w").writelines(lines)
resize_cases()
