/* Multipart bodies. The first byte says how large the pieces are in which the rest arrives. However it
 * is cut, the reader must hear the same. */
#include "base/buffer.h"
#include "base/memory.h"
#include "service/multipart.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_begin(void *context, const struct multipart_part *part) {
    return buffer_format(context, "<%s|%s|%s>", part->name, part->filename == NULL ? "-" : part->filename,
                         part->type == NULL ? "-" : part->type);
}
static bool on_data(void *context, const char *data, size_t length) { return buffer_append(context, data, length); }
static bool on_end(void *context) { return buffer_text(context, "</>"); }

static bool parse(const char *text, size_t length, size_t piece, struct buffer *heard) {
    struct multipart_reader reader = {heard, on_begin, on_data, on_end};
    struct multipart *multipart = multipart_create("multipart/form-data; boundary=X", &reader);
    bool fine = multipart != NULL;
    for (size_t i = 0; fine && i < length; i += piece) {
        size_t some = length - i < piece ? length - i : piece;
        char *copy = memory_alloc(some); /* so that reading beyond the piece is caught */
        if (copy == NULL) abort();
        memcpy(copy, text + i, some);
        fine = multipart_feed(multipart, copy, some);
        memory_free(copy);
    }
    fine = fine && multipart_complete(multipart);
    multipart_free(multipart);
    return fine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buffer whole, cut;
    if (size < 1) return 0;
    const char *text = (const char *)data + 1;
    buffer_init(&whole, 1 << 24);
    buffer_init(&cut, 1 << 24);
    bool first = parse(text, size - 1, size, &whole), second = parse(text, size - 1, 1 + data[0] % 64, &cut);
    if (first != second) abort();
    if (first && (whole.length != cut.length || (whole.length > 0 && memcmp(whole.data, cut.data, whole.length) != 0))) abort();
    buffer_free(&whole);
    buffer_free(&cut);
    return 0;
}
