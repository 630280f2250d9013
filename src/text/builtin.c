/* CLIP's vocabulary follows from its list of merges: the 256 bytes, the same as the ends of words,
 * what each merge makes, and the two marks. So the list is all that the program carries. */
#include "text/vocabulary.h"

/* The file's bytes (its path comes from the build), and how many there are. */
__asm__(".pushsection .rodata\n"
        "builtin_merges: .incbin \"" INPAINT_MERGES "\"\n"
        "builtin_merges_end: .balign 8\n"
        "builtin_merges_size: .quad builtin_merges_end - builtin_merges\n"
        ".popsection\n");
extern const char builtin_merges[];
extern const uint64_t builtin_merges_size;

bool vocabulary_builtin(struct vocabulary **vocabulary, struct error *error) {
    return vocabulary_from_merges(builtin_merges, (size_t)builtin_merges_size, vocabulary, error);
}
