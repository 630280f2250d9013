"""Prompts to token ids, with one id for all words that the model was not taught; and the few ids that the training needs."""

from pathlib import Path

import torch
from transformers import CLIPTokenizer

import compose

LENGTH = 77
START, END = 49406, 49407
UNKNOWN_ID = 49405  # a token of no prompt: what it learns becomes the embedding of every unknown one


def tokenizer():
    """CLIP's own, from the bundled model."""
    folder = Path(__file__).parent.parent / "models/bundled/tokenizer"
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), pad_token="<|endoftext|>", model_max_length=LENGTH)


def ids_of(prompts, tokens):
    """-> int64 [n, 77]; compose.UNKNOWN in a prompt becomes UNKNOWN_ID."""
    rows = []
    for prompt in prompts:
        row = [START]
        for number, part in enumerate(prompt.split(compose.UNKNOWN)):
            row += [UNKNOWN_ID] * (number > 0) + tokens(part, add_special_tokens=False).input_ids
        row = row[: LENGTH - 1]
        rows.append(row + [END] * (LENGTH - len(row)))
    return torch.tensor(rows)


def known_ids(names, tokens):
    """Ids of all tokens that prompts of the training can hold, for things of these names; sorted."""
    known = {UNKNOWN_ID, START, END}
    for text in [*names, *compose.NOTHING_PROMPTS, *(template.format(a=" ", n=" ") for template in compose.TEMPLATES)]:
        known.update(tokens(text, add_special_tokens=False).input_ids)
    return sorted(known)
