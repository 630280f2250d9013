"""A small classifier that names the thing in a picture: it judges what the model paints."""

import random
import time

import numpy as np
import torch
from torch import nn

import compose

SIDE = 64  # of what it sees, pixels: the square around the hole


def network(classes):
    def block(inputs, outputs):
        return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*block(3, 32), *block(32, 64), *block(64, 128), *block(128, 192), nn.Flatten(), nn.Dropout(0.2), nn.Linear(192 * 16, classes))


def crop(picture, mask):
    """The square around the hole -> f32 [3, SIDE, SIDE], -1 to 1."""
    x0, y0, x1, y1 = mask.getbbox()
    half = max(x1 - x0, y1 - y0) / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    square = picture.crop((round(x - half), round(y - half), round(x + half), round(y + half))).resize((SIDE, SIDE))
    return torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1).float() / 127.5 - 1


def composites(things, photographs, rng, count):
    """-> inputs [count, 3, SIDE, SIDE], numbers of the things."""
    inputs, labels = [], []
    for _ in range(count):
        picture, mask, _, index = compose.sample(things, photographs, rng, nothing=0)
        inputs.append(crop(picture, mask))
        labels.append(index)
    return torch.stack(inputs), torch.tensor(labels)


def train(things, photographs, seconds, kept):
    """Trains for so many seconds of processor time, or reads what an earlier run kept."""
    model = network(len(things))
    if kept.exists():
        model.load_state_dict(torch.load(kept))
        return model.eval()
    rng, begun, step = random.Random(1), time.process_time(), 0
    learner = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    while (passed := (time.process_time() - begun) / seconds) < 1:
        for group in learner.param_groups:
            group["lr"] = 2e-3 * (1 - passed)
        inputs, labels = composites(things, photographs, rng, 48)
        inputs = inputs + 0.1 * torch.rand(()) * torch.randn_like(inputs)  # it must not ask for sharpness
        loss = nn.functional.cross_entropy(model(inputs), labels, label_smoothing=0.05)
        learner.zero_grad()
        loss.backward()
        learner.step()
        step += 1
        if step % 50 == 0:
            print(f"  classifier: step {step}, {100 * passed:.0f} %, loss {loss.item():.2f}", flush=True)
    torch.save(model.state_dict(), kept)
    return model.eval()


def named(model, inputs):
    """-> the number of the thing in each input."""
    with torch.no_grad():
        return model(inputs).argmax(1)
