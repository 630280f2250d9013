/* CLIP's vocabulary follows from its list of merges: the 256 bytes, the same as the ends of words,
 * what each merge makes, and the two marks. So the list is all that the program carries. */
#include "text/vocabulary.h"

/* The file's bytes (its path comes from the build), between these two. */
__asm__(".pushsection .rodata\n"
        "builtin_merges: .incbin \"" INPAINT_MERGES "\"\n"
        "builtin_merges_end: .byte 0\n"
        ".popsection\n");
extern const char builtin_merges[], builtin_merges_end[];

bool vocabulary_builtin(struct vocabulary **vocabulary, struct error *error) {
    return vocabulary_from_merges(builtin_merges, (size_t)(builtin_merges_end - builtin_merges), vocabulary, error);
}
