"""Writes this folder from the pictures that the scikit-image package carries.

    python3 -m venv venv && venv/bin/pip install pillow
    venv/bin/pip download --no-deps scikit-image==0.26.0 && unzip scikit_image-*.whl 'skimage/data/*'
    venv/bin/python make.py skimage/data
"""
import os, sys
from PIL import Image, ImageDraw, ImageFilter

source = sys.argv[1]
target = os.path.dirname(os.path.abspath(__file__))


def make(name, file, box, size, shapes):
    """shapes: (kind, points of the finished picture); a little blur rounds the corners off."""
    Image.open(os.path.join(source, file)).convert("RGB").crop(box).resize(size, Image.Resampling.LANCZOS).save(
        os.path.join(target, f"{name}.jpg"), quality=90, optimize=True)
    mask = Image.new("L", size, 0)
    draw = ImageDraw.Draw(mask)
    for kind, points in shapes:
        getattr(draw, kind)(points, fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(4)).point(lambda value: 255 if value >= 128 else 0)
    mask.convert("1").save(os.path.join(target, f"{name}-mask.png"), optimize=True)


# The cup, its handle and the spoon; the saucer and the table stay.
make("coffee", "coffee.png", (0, 3, 600, 397), (512, 336),
     [("ellipse", (142, 6, 352, 178)), ("polygon", [(150, 90), (345, 90), (312, 225), (185, 240), (160, 255), (160, 215), (180, 195)]),
      ("ellipse", (158, 185, 225, 266)), ("polygon", [(335, 50), (364, 50), (338, 200), (300, 210)]), ("ellipse", (268, 194, 352, 284))])
# The model of the shuttle behind her, down to the cloth that it stands on.
make("astronaut", "astronaut.png", (0, 0, 512, 512), (512, 512),
     [("polygon", [(372, 0), (470, 0), (482, 290), (360, 292), (340, 220), (372, 180)])])
# The same cup, cut for the bundled model's best size: a round place on the saucer.
make("cup-256", "coffee.png", (90, 0, 490, 400), (256, 256), [("ellipse", (44, 2, 216, 216))])
# Empty sky beside the rocket.
make("night-256", "rocket.jpg", (130, 20, 386, 276), (256, 256), [("ellipse", (82, 6, 186, 110))])
