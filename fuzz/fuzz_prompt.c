/* Any bytes as a prompt: cleaned up to well-formed UTF-8, and ids in their range. */
#include "base/memory.h"
#include "base/text.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>

#ifndef SOURCE_DIR
#define SOURCE_DIR "."
#endif

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tokenizer *tokenizer;

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count;
    (void)arguments;
    struct error error;
    if (tokenizer_open(SOURCE_DIR "/models/bundled/tokenizer", &tokenizer, &error)) return 0;
    fprintf(stderr, "%s\n", error.message);
    exit(1);
}

static void encode(const char *text, size_t size, bool keep_end) {
    int32_t ids[TOKENIZER_LENGTH];
    size_t count;
    char *cut;
    struct error error;
    if (!tokenizer_encode(tokenizer, text, size, keep_end, ids, &count, &cut, &error)) abort();
    for (size_t i = 0; i < TOKENIZER_LENGTH; i++)
        if (ids[i] < 0 || ids[i] > TOKENIZER_END) abort();
    if (!keep_end && (cut != NULL) != (count > TOKENIZER_LENGTH)) abort();
    if (count < 2 || ids[0] != TOKENIZER_START) abort();
    memory_free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t length;
    struct error error;
    char *fixed = text_fix((const char *)data, size, &length, &error);
    if (!fixed || !utf8_valid(fixed, length)) abort();
    memory_free(fixed);
    encode((const char *)data, size, false);
    encode((const char *)data, size, true);
    return 0;
}
