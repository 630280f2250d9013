#!/usr/bin/env python3
"""Writes cases.json: what ftfy 6.1.1 and transformers' slow CLIPTokenizer make of difficult prompts.

    pip install ftfy==6.1.1 transformers==4.25.1 regex
    python3 tests/text/cases.py

The tests read what is checked in; this is for adding cases."""

import json
import os
import random

import ftfy
from transformers import CLIPTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENIZER = os.path.join(HERE, "../reference/tiny-checkpoint/tokenizer")
ENCODINGS = ["latin-1", "sloppy-windows-1252", "sloppy-windows-1251", "sloppy-windows-1250", "sloppy-windows-1253",
             "sloppy-windows-1254", "iso-8859-2", "macroman", "cp437"]

PROMPTS = [
    "", " ", "\n", "\n\n a \n", "a cat", "A CAT", "it's we're they've I'll he'd don't i'm 'sun 'S 'ſ", "snake_case CamelCase kebab-case",
    "<|startoftext|> x <|endoftext|> y", "<|STARTOFTEXT|>a<|EndOfText|>", "<|ſtartoftext|>", "!<|endoftext|>", "<|endoftext|",
    "<|end\x01oftext|> d", "<|endof\x1b[0mtext|>", "123 4567 v1.5 8k ½ ² ① Ⅷ ௧", "(masterpiece:1.3), [low quality], {best}",
    # entities
    "&amp; &lt;b&gt; &eacute; &EACUTE; &Eacute; &szlig; &SZLIG; &nTILDE; &fjlig; &NotEqualTilde; &nope; &amp &; &#; &#x;",
    "&#65; &#x41; &#X41; &#xzz; &#65a; &#59; &#0; &#13;x &#128; &#x99; &#129; &#150; &#xD800; &#x1F431; &#99999999999999999999999; &#11;a &#xfffe;b",
    "&amp;amp;amp;amp;lt;", "a < b &amp; c", "first &amp;\nsecond < &amp;\nthird &amp;", "&amp;<|endoftext|>&amp;", "&aaaaaaaaaaaaaaaaaaaaaaaa; &aaaaaaaaaaaaaaaaaaaaaaaaa;",
    "&&amp;;", "&#xd83d;&#xdc31;",
    # controls, escapes, line breaks
    "tab\x00nul \x07 \x7f \x1c\x1f", "\x1b[31mred\x1b[0m \x1b[1;44;m! \x1b[x \x1b[\u0661m \x1b[1 m \x1b", "\x1b[\x1b[0m0m", "a\r\nb\rc\u2028d\u2029e\x85f\x0bg\x0ch",
    "\ufeffbom \ufff9\ufffa\ufffb\ufffc \u206a \u200b\u200c\u200d\u200e \u00ad", "\x80 \x85 \x91quoted\x92 \x99", "\x81\x8d\x8f\x90\x9d", "caf\xe9 \x93x\x94 \u0416",
    # letters
    "\u201ccurly\u201d \u2018a\u2019 \u201b\u201f \u02bc", "ﬁsh ﬂower oﬃce ﬄ ﬅ ﬆ ĳ Ĳ ŉ ǅ Ǆ ǆ ǈ ǋ ǲ", "Ｆｕｌｌ　ｗｉｄｔｈ ＂＇ ﾊﾝｶｸ ｶﾞ ﾡ ￥ ￣ ￨", "e\u0301 A\u030a \u1100\u1161\u11a8 \u2126 \u212a \u0340 \u0958 \u1e9b\u0323 q\u0327\u0301",
    "İstanbul ıslak ŞIŞ ẞ ǰ ΐ", "ΟΔΥΣΣΕΥΣ Σ ΑΣ' ΑΣ'Β Σίσυφος ΑΣ\u0301 ΑΣ\u00adΒ", "\U00010400\U0001d49c Ⓐ Ⅷ Ꭰ Ა", "a\u0345b \u0345", "a\u180eb\u1680c\u2003d\u3000e\xa0f\u202fg\u205fh",
    "emoji \U0001f600\U0001f431 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f4\U000e0067\U000e0062\U000e007f", "日本語 一只猫 한국어 고양이 แมวนั่ง חתול قطة हिन्दी தமிழ்",
    # mojibake
    "â€™mojibakeâ€œ", "Ã©", "SÃ£o Paulo", "voilÃ le travail", "Ã la mode", "fÃ cil Ã s Ã quele Ã quel", "Â Â ", "Â©Â®", "â€œ like this â€\ufffd", "â€œ like this â€?",
    "Ãƒ\xa9 deux fois", "ÃƒÂ¢Ã¢â‚¬Å¡Ã‚Â¬", "ç™¾åº¦ and ж", "Ð\x9fÑ€Ð¸Ð²ÐµÑ‚", "РџСЂРёРІРµС‚", "Γ\xadΓΊ Ο„ΞΏΟ…", "â•¬â–’ ╬ô├", "√© √† ‚Äô", "вЂ” ГўВЂВ¦a ГўВЂВ¦", "ØªØ¨Ø§Ø¯Ù„", "à²¨ à¼", "à¸à¸²à¸",
    "l’humanitÃ©, Żółw", "\xed\xa0\xbd\xed\xb0\xb1 pair", "\xc0\x80 Ã©", "Ã©À\n", "Ã© \xed\xa0\xbd\xed\xb0\n", "ă\x83\x84 (ã\x83\x84)_/", "ðŸ˜€ ðŸ±", "ð Ÿ˜", "Œ Œa œ- œuvre", "× ×² ×³ µ± ¼½", "IL Y MARQUÉ…", "AHÅ™, the new sofa from IKEA®",
    "Engkau masih yg terindah, indah di dalam hatikuâ™«~", "├┤a┐ €š ¢£ ¶Ä ¬a", "(-1/2)! = √π", "Ù…Ù† €", "ВГ°Г С°С", "РЎРѕР±Р°РєР°", "Ã\xa0 Ã¡", "? Â “", "x Ã ", "\xc3\xa9" * 40,
    # long
    "word " * 100, "cat, " * 60, "a" * 300, "héllo wörld! it's. a test? yes, isn't it. " * 12, "<|endoftext|> <|startoftext|> " * 50, "日本語" * 40, "</w> " * 60, "\U0001f600 " * 90,
    "x " * 74, "x " * 75, "x " * 76, "x " * 77,
]


def garbled(source, count):
    """Prompts of the list, misread once to three times, some only in part."""
    for _ in range(count):
        text = source.choice(PROMPTS[:60])[:80]
        cut = source.choice([0, 0, source.randrange(len(text) + 1)])
        part = text[cut:]
        for _ in range(source.choice([1, 1, 2, 3])):
            part = part.encode("utf-8").decode(source.choice(ENCODINGS), "replace")
            part = part.replace("\xa0", " ") if source.random() < 0.2 else part
        yield (text[:cut] + part)[:240]


def main():
    tokenizer = CLIPTokenizer(os.path.join(TOKENIZER, "vocab.json"), os.path.join(TOKENIZER, "merges.txt"), pad_token="<|endoftext|>", model_max_length=77)
    cases = []
    for text in PROMPTS + list(garbled(random.Random(1), 160)):
        ids = tokenizer(text).input_ids
        case = {"text": text, "fixed": ftfy.fix_text(text), "count": len(ids), "ids": ids[:77]}
        if len(ids) > 77:
            case["cut"] = tokenizer.decode(ids[77:])
            case["cut_before_end"] = tokenizer.decode(ids[76:-1])
        cases.append(case)
    with open(os.path.join(HERE, "cases.json"), "w", encoding="ascii") as out:
        out.write("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")


main()
