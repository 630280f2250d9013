#!/usr/bin/env python3
"""Writes mojibake_letters.c and html_entities.c beside this file.

Only needed when a table must change; the build uses what is checked in. The facts come from
Python's own codecs and entity list; the groups of letters are those that ftfy 6.1.1 tells
mojibake by (ftfy/badness.py and ftfy/chardata.py)."""

import html
import html.entities
import os

HERE = os.path.dirname(os.path.abspath(__file__))


def span(first, last):
    return "".join(chr(c) for c in range(ord(first), ord(last) + 1))


GROUPS = {
    "COMMON": "\xa0\xad\xb7\xb4\u2013\u2014\u2015\u2026\u2019",
    "C1": span("\x80", "\x9f"),
    "BAD": "\xa6\xa4\xa8\xac\xaf\xb6\xa7\xb8ƒ\u02c6\u02c7\u02d8\u02db\u02dc\u2020\u2021\u2030\u2310\u25ca\ufffd\xaa\xba",
    "CURRENCY": "\xa2\xa3\xa5\u20a7\u20ac",
    "START": "\xa1\xab\xbf\xa9\u0384\u0385\u2018\u201a\u201c\u201e\u2022\u2039\uf8ff",
    "END": "\xae\xbb\u02dd\u201d\u203a\u2122",
    "NUMERIC": "\xb2\xb3\xb9\xb1\xbc\xbd\xbe\xd7\xb5\xf7\u2044\u2202\u2206\u220f\u2211\u221a\u221e\u2229\u222b\u2248\u2260\u2261\u2264\u2265\u2116",
    "KAOMOJI": span("Ò", "Ö") + span("Ù", "Ü") + span("ò", "ö") + span("ø", "ü") + "\u0150\xb0",
    "UPPER_ACCENTED": span("\xc0", "\xd1") + "ØÜÝĂĄĆČĎĐĘĚĞİĹĽŁŃŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ",
    "LOWER_ACCENTED": "ß" + span("\xe0", "\xf1") + "ăąćčďđęěğĺľłœŕśşšťüźżžґ\ufb01\ufb02",
    "UPPER_COMMON": "Þ" + span("Α", "Ω") + "ΆΈΉΊΌΎΏΪΫ" + span("Ё", "Я"),
    "LOWER_COMMON": span("α", "ω") + "άέήίΰ" + span("а", "џ"),
    "BOX": "│┌┐┘├┤┬┼" + span("═", "╬") + "▀▄█▌▐░▒▓",
    "FIRST_OF_2": "ÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞßĂĆČĎĐĘĚĞİĹŃŇŐŘŞŢŮŰΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩΪΫάέήίВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "FIRST_OF_3": "àáâãäåæçèéêëìíîïăćčďęěĺŕΰαβγδεζηθικλμνξοабвгдежзийклмноп",
    "FIRST_OF_4": "ðóđğπσру",
}
CONTINUATION_STRICT = span("\x80", "\xbf") + "ĄąĽľŁłŒœŚśŞşŠšŤťŸŹźŻżŽžƒˆˇ˘˛˜˝΄΅ΆΈΉΊΌΎΏЁЂЃЄЅІЇЈЉЊЋЌЎЏёђѓєѕіїјљњћќўџҐґ†‡•‰‹›€№™"
GROUPS["CONTINUATION"] = CONTINUATION_STRICT + "–—―‘’‚“”„…"  # and the space
GROUPS["CONTINUATION_STRICT"] = CONTINUATION_STRICT

ENCODINGS = ["latin-1", "windows-1252", "windows-1251", "windows-1250", "windows-1253", "windows-1254", "iso-8859-2", "mac_roman", "cp437"]


def encoded(letter, encoding):
    """The byte >= 0x80 that stands for the letter, or 0. Windows' unassigned bytes stand for themselves."""
    try:
        return letter.encode(encoding)[0]
    except UnicodeEncodeError:
        pass
    if encoding.startswith("windows") and 0x80 <= ord(letter) <= 0xFF:
        if bytes([ord(letter)]).decode(encoding, "replace") == "\ufffd":
            return ord(letter)
    return 0


def write_letters():
    letters = set("".join(GROUPS.values()))
    for encoding in ENCODINGS:
        letters |= set(bytes(range(0x80, 0x100)).decode(encoding, "ignore"))
    with open(os.path.join(HERE, "mojibake_letters.c"), "w", encoding="utf-8") as out:
        out.write("/* Written by tables.py: letter, the groups that it is in, its byte in each encoding (0: none). */\n")
        out.write('#include "text/mojibake.h"\n\n// clang-format off\nconst struct mojibake_letter mojibake_letters[] = {\n')
        for letter in sorted(letters):
            groups = " | ".join("IN_" + name for name, members in GROUPS.items() if letter in members) or "0"
            numbers = ", ".join("0x%02X" % encoded(letter, e) if encoded(letter, e) else "0" for e in ENCODINGS)
            out.write("    {0x%04X, %s, {%s}},\n" % (ord(letter), groups, numbers))
        out.write("};\n// clang-format on\n\nconst size_t mojibake_letter_count = sizeof mojibake_letters / sizeof *mojibake_letters;\n")


def entities():
    found = {}
    for name, text in html.entities.html5.items():
        if not name.endswith(";"):
            continue
        found[name[:-1]] = text
        upper = name.upper()
        if name == name.lower() and html.unescape("&" + upper) == "&" + upper:
            found[upper[:-1]] = text.upper()
    return found


def write_entities():
    with open(os.path.join(HERE, "html_entities.c"), "w", encoding="utf-8") as out:
        out.write("/* Written by tables.py: HTML 5's entities, and the all-capitals forms of those in small letters,\n * sorted by name. */\n")
        out.write('#include "text/fix.h"\n\n// clang-format off\nconst struct html_entity html_entities[] = {\n')
        for name, text in sorted(entities().items()):
            codes = ["0x%04X" % ord(c) for c in text]
            out.write('    {"%s", {%s}},\n' % (name, ", ".join(codes)))
        out.write("};\n// clang-format on\n\nconst size_t html_entity_count = sizeof html_entities / sizeof *html_entities;\n")


write_letters()
write_entities()
