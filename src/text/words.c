/* What CLIP's tokenizer does between the clean-up and the byte pairs: white space, lower case, words. */
#include "text/fix.h"

#include <string.h>
#include <unicase.h>
#include <unictype.h>

void clean_whitespace(struct codes *text) {
    size_t kept = 0;
    for (size_t i = 0; i < text->length; i++) {
        bool space = code_is_space(text->data[i]);
        if (space && (kept == 0 || text->data[kept - 1] == ' ')) continue;
        text->data[kept++] = space ? ' ' : text->data[i];
    }
    if (kept > 0 && text->data[kept - 1] == ' ') kept--;
    text->length = kept;
}

/* ==== Lower case ==== */

enum { CAPITAL_SIGMA = 0x3a3, SMALL_SIGMA = 0x3c3, FINAL_SIGMA = 0x3c2, CAPITAL_I_DOT = 0x130, DOT_ABOVE = 0x307 };

/* Unicode's Final_Sigma: a cased letter before and none after, what has no case of its own (like an
 * accent or an apostrophe) not counted. */
static bool sigma_is_final(const struct codes *text, size_t at) {
    size_t before = at, after = at + 1;
    while (before > 0 && uc_is_property_case_ignorable(text->data[before - 1])) before--;
    if (before == 0 || !uc_is_property_cased(text->data[before - 1])) return false;
    while (after < text->length && uc_is_property_case_ignorable(text->data[after])) after++;
    return after == text->length || !uc_is_property_cased(text->data[after]);
}

void lower_case(struct codes *text) {
    struct codes out = {0};
    for (size_t i = 0; i < text->length; i++) {
        uint32_t code = text->data[i];
        if (code == CAPITAL_SIGMA)
            codes_append(&out, sigma_is_final(text, i) ? FINAL_SIGMA : SMALL_SIGMA);
        else
            codes_append(&out, code == CAPITAL_I_DOT ? 'i' : uc_tolower(code));
        if (code == CAPITAL_I_DOT) codes_append(&out, DOT_ABOVE);
    }
    codes_move(text, &out);
}

/* ==== Words ==== */

static const char *const special[] = {"<|startoftext|>", "<|endoftext|>", "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};

/* Length of one of the special words here, or 0. In lower-case text the long s is the one other
 * character that is equal to a letter of theirs when case is ignored. */
static size_t match_special(const uint32_t *text, size_t length) {
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        size_t at = 0;
        while (special[i][at] && at < length && (text[at] == (uint32_t)special[i][at] || (text[at] == 0x17f && special[i][at] == 's')))
            at++;
        if (!special[i][at]) return at;
    }
    return 0;
}

enum kind { SPACE, LETTER, NUMBER, OTHER };

/* U+0345 is neither a letter nor, because its capital is one, matched by the pattern's "all else":
 * it separates words as a space does. */
static enum kind kind_of(uint32_t code) {
    if (code_is_space(code) || code == 0x345) return SPACE;
    if (uc_is_general_category_withtable(code, UC_CATEGORY_MASK_L)) return LETTER;
    return uc_is_general_category_withtable(code, UC_CATEGORY_MASK_N) ? NUMBER : OTHER;
}

bool next_word(const struct codes *text, size_t *begin, size_t *end) {
    size_t at = *begin;
    while (at < text->length && kind_of(text->data[at]) == SPACE) at++;
    if (at == text->length) return false;
    *begin = at;
    *end = at + match_special(text->data + at, text->length - at);
    if (*end > at) return true;
    enum kind kind = kind_of(text->data[at]);
    do at++;
    while (kind != NUMBER && at < text->length && kind_of(text->data[at]) == kind);
    *end = at;
    return true;
}
