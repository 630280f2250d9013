/* Mojibake: text whose bytes were read in the wrong encoding. The letters that it is made of, how to
 * recognise it and how to undo it, as ftfy 6.1.1 does. Only for this folder. */
#ifndef TEXT_MOJIBAKE_H
#define TEXT_MOJIBAKE_H

#include "text/codes.h"

/* Groups of letters that make a sequence likely or unlikely. */
enum mojibake_group {
    IN_COMMON = 1 << 0,
    IN_C1 = 1 << 1,
    IN_BAD = 1 << 2,
    IN_CURRENCY = 1 << 3,
    IN_START = 1 << 4, /* punctuation that opens */
    IN_END = 1 << 5,   /* punctuation that closes */
    IN_NUMERIC = 1 << 6,
    IN_KAOMOJI = 1 << 7,
    IN_UPPER_ACCENTED = 1 << 8,
    IN_LOWER_ACCENTED = 1 << 9,
    IN_UPPER_COMMON = 1 << 10,
    IN_LOWER_COMMON = 1 << 11,
    IN_BOX = 1 << 12,
    /* What the bytes of UTF-8 look like in an encoding like Latin-1. */
    IN_FIRST_OF_2 = 1 << 13,
    IN_FIRST_OF_3 = 1 << 14,
    IN_FIRST_OF_4 = 1 << 15,
    IN_CONTINUATION = 1 << 16,
    IN_CONTINUATION_STRICT = 1 << 17, /* without spaces, dashes, quotes and ellipses */
    /* Not from the table, but from what the character is. */
    IN_ASCII_SMALL = 1 << 18,
    IN_ASCII_CAPITAL = 1 << 19,
    IN_NOT_ASCII_LETTER = 1 << 20,
    IN_SPACE = 1 << 21,
    IN_NOT_NEWLINE = 1 << 22,
    IN_WORD = 1 << 23 /* letters, digits, '_' */
};

/* Encodings that text is taken to have been misread in, in the order in which they are tried. In
 * Windows' an unassigned byte stands for itself, and byte 1A for U+FFFD. */
enum mojibake_encoding {
    LATIN_1,
    WINDOWS_1252,
    WINDOWS_1251,
    WINDOWS_1250,
    WINDOWS_1253,
    WINDOWS_1254,
    ISO_8859_2,
    MAC_ROMAN,
    CP437,
    ENCODINGS
};

struct mojibake_letter {
    uint16_t code;
    uint32_t groups;
    uint8_t byte[ENCODINGS]; /* 0x80 or above; 0: not in that encoding */
};
extern const struct mojibake_letter mojibake_letters[]; /* sorted by code */
extern const size_t mojibake_letter_count;

const struct mojibake_letter *mojibake_find(uint32_t code); /* NULL: none */
uint32_t mojibake_groups(uint32_t code);
uint32_t windows_1252_from_byte(unsigned char byte);

/* Does the text look like mojibake? */
bool is_bad(const uint32_t *text, size_t length);

/* How much work is left, in characters looked at. Text may be made so that each round of fixing
 * undoes one of very many layers; no round begins once nothing is left. Text of up to 10,000
 * characters can't run out. */
struct effort {
    size_t left;
};
bool effort_spend(struct effort *effort, size_t length);

/* Undo mojibake until none is recognised. text->failed when out of memory. */
void fix_encoding(struct codes *text, struct effort *effort);

#endif
