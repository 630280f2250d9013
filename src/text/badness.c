/* The heuristic of ftfy 6: sequences of letters that hardly occur but in mojibake. */
#include "text/mojibake.h"

#include <stdlib.h>
#include <uchar.h>
#include <unictype.h>

static int compare_codes(const void *key, const void *element) {
    uint32_t code = *(const uint32_t *)key, other = ((const struct mojibake_letter *)element)->code;
    return (code > other) - (code < other);
}

const struct mojibake_letter *mojibake_find(uint32_t code) {
    if (code < 0x80) return NULL;
    return bsearch(&code, mojibake_letters, mojibake_letter_count, sizeof *mojibake_letters, compare_codes);
}

static bool is_word(uint32_t code) {
    return code == '_' || uc_is_general_category_withtable(code, UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_N);
}

uint32_t mojibake_groups(uint32_t code) {
    uint32_t groups = code == '\n' ? 0 : IN_NOT_NEWLINE;
    if (code >= 'a' && code <= 'z') return groups | IN_ASCII_SMALL;
    if (code >= 'A' && code <= 'Z') return groups | IN_ASCII_CAPITAL;
    if (code_is_space(code)) groups |= IN_SPACE;
    const struct mojibake_letter *letter = mojibake_find(code);
    return groups | IN_NOT_ASCII_LETTER | (letter ? letter->groups : 0);
}

enum { STEPS_MAX = 7 };
#define IN_ACCENTED     (IN_LOWER_ACCENTED | IN_UPPER_ACCENTED)
#define IN_ASCII_LETTER (IN_ASCII_SMALL | IN_ASCII_CAPITAL)

/* One character of a sequence: in one of the groups, or one of the letters. */
struct step {
    uint32_t groups;
    const char32_t *letters;
};
#define IN(groups)                                                                                                                         \
    { groups, U"" }
#define OF(letters)                                                                                                                        \
    { 0, U##letters }
#define IN_OR(groups, letters)                                                                                                             \
    { groups, U##letters }
#define ARABIC_FIRST  OF("ØÙ")
#define ARABIC_SECOND IN_OR(IN_COMMON | IN_CURRENCY | IN_BAD | IN_NUMERIC | IN_START, "ŸŠ®°µ»")

static const struct step rules[][STEPS_MAX] = {
    {IN(IN_C1)},
    {IN(IN_BAD | IN_ACCENTED | IN_BOX | IN_START | IN_END | IN_CURRENCY | IN_NUMERIC), IN(IN_BAD)},
    {IN(IN_ASCII_LETTER), IN(IN_LOWER_COMMON | IN_UPPER_COMMON), IN(IN_BAD)},
    {IN(IN_BAD), IN(IN_ACCENTED | IN_BOX | IN_START | IN_END | IN_CURRENCY | IN_NUMERIC)},
    {IN(IN_LOWER_ACCENTED | IN_LOWER_COMMON | IN_BOX | IN_END | IN_CURRENCY | IN_NUMERIC), IN(IN_UPPER_ACCENTED)},
    {IN(IN_BOX | IN_END | IN_CURRENCY | IN_NUMERIC), IN(IN_LOWER_ACCENTED)},
    {IN(IN_LOWER_ACCENTED | IN_BOX | IN_END), IN(IN_CURRENCY)},
    {IN(IN_SPACE), IN(IN_UPPER_ACCENTED), IN(IN_CURRENCY)},
    {IN(IN_UPPER_ACCENTED | IN_BOX), IN(IN_NUMERIC)},
    {IN(IN_ACCENTED | IN_BOX | IN_CURRENCY | IN_END), IN(IN_START), IN(IN_NUMERIC)},
    {IN(IN_ACCENTED | IN_CURRENCY | IN_NUMERIC | IN_BOX), IN(IN_END), IN(IN_START)},
    {IN(IN_CURRENCY | IN_NUMERIC | IN_BOX), IN(IN_START)},
    {IN(IN_ASCII_SMALL), IN(IN_UPPER_ACCENTED), IN(IN_START | IN_CURRENCY)},
    {IN(IN_BOX), IN(IN_KAOMOJI)},
    {IN(IN_ACCENTED | IN_CURRENCY | IN_NUMERIC | IN_START | IN_END), IN(IN_BOX)},
    {IN(IN_BOX), IN(IN_END)},
    {IN(IN_ACCENTED), IN(IN_END), IN(IN_WORD)},
    {OF("Œœ"), IN(IN_NOT_ASCII_LETTER)},
    /* Windows-1252: two characters */
    {OF("ÂÃÎÐ"), IN_OR(IN_START | IN_END, "€Šš¢£Ÿž\u00a0\u00ad®©°·»–—´")},
    {OF("×"), OF("²³")},
    /* Windows-1252: Arabic, South Asian alphabets */
    {ARABIC_FIRST, ARABIC_SECOND, ARABIC_FIRST, ARABIC_SECOND},
    {OF("à"), OF("²µ¹¼½¾")},
    /* MacRoman */
    {OF("√"), OF("±∂†≠®™´≤≥¥µø")},
    {OF("≈"), OF("°¢")},
    {OF("‚"), OF("Ä"), OF("ìîïòôúùû†°¢π")},
    {OF("‚"), OF("âó"), OF("àä°ê")},
    /* Windows-1251 */
    {OF("в"), OF("Ђ")},
    {OF("ВГРС"), IN_OR(IN_C1 | IN_BAD | IN_START | IN_END | IN_CURRENCY, "°µ"), OF("ВГРС")},
    {OF("Г"), OF("ў"), OF("В"), OF("Ђ"), OF("В"), IN(IN_NOT_NEWLINE), IN_OR(IN_ASCII_LETTER, " ")},
    /* Windows-1252: a grave, a acute, no-break space */
    {OF("Ã"), OF("\u00a0¡")},
    {IN(IN_ASCII_SMALL), OF("ÃÂ"), OF(" ")},
    {IN(IN_ASCII_SMALL), IN(IN_SPACE), OF("ÃÂ"), OF(" ")},
    {IN_OR(IN_ASCII_SMALL | IN_END, ".,?!"), OF("Â"), IN_OR(IN_START | IN_END, " ")},
    /* Windows-1253 */
    {OF("β"), OF("€"), OF("™\u00a0Ά\u00ad®°")},
    {OF("ΒΓΞΟ"), IN_OR(IN_C1 | IN_BAD | IN_START | IN_END | IN_CURRENCY, "°"), OF("ΒΓΞΟ")},
};

static bool step_matches(const struct step *step, uint32_t code, uint32_t groups) {
    if (groups & step->groups) return true;
    for (const char32_t *letter = step->letters; *letter; letter++)
        if (*letter == code) return true;
    return (step->groups & IN_WORD) && is_word(code);
}

static bool rule_matches(const struct step *rule, const uint32_t *text, size_t length, uint32_t first_groups) {
    if (!step_matches(rule, text[0], first_groups)) return false;
    for (size_t i = 1; i < STEPS_MAX && rule[i].letters; i++)
        if (i >= length || !step_matches(&rule[i], text[i], mojibake_groups(text[i]))) return false;
    return true;
}

/* Could a rule begin here? All have something that is not ASCII among their first three characters,
 * and no rule begins with a character beyond ASCII that is in no group. */
static bool may_begin(const uint32_t *text, size_t length, uint32_t groups) {
    if (text[0] >= 0x80) return groups & ~(uint32_t)(IN_NOT_ASCII_LETTER | IN_NOT_NEWLINE);
    return (length > 1 && text[1] >= 0x80) || (length > 2 && text[2] >= 0x80);
}

bool is_bad(const uint32_t *text, size_t length) {
    if (length >= 2 && (text[0] == 0xc3 || text[0] == 0xc2) && text[1] == ' ') return true;
    for (size_t i = 0; i < length; i++) {
        uint32_t groups = mojibake_groups(text[i]);
        if (!may_begin(text + i, length - i, groups)) continue;
        for (size_t j = 0; j < sizeof rules / sizeof *rules; j++)
            if (rule_matches(rules[j], text + i, length - i, groups)) return true;
    }
    return false;
}
