/* What the readers of weight formats share: the mapped file and the table of names that each
 * reader fills. Only for this folder. */
#ifndef WEIGHTS_TABLE_H
#define WEIGHTS_TABLE_H

#include "weights/weights.h"

enum { WEIGHTS_TENSORS_MAX = 100000 };

struct entry {
    char *name; /* owned */
    struct tensor tensor;
    size_t first, end; /* its bytes, counted from where the reader's data begin */
    float *merged;     /* owned: the tensor's numbers once a LoRA was merged; NULL: they are the file's */
};

/* One mapped file; or a table over others, which then are `parts`. */
struct weights {
    char *path;
    const unsigned char *bytes; /* the file, mapped read-only; NULL: none of its own */
    size_t size;                /* of the file; without one, of the tensors listed */
    struct entry *entries;      /* in the order of their data */
    size_t count;
    const struct entry **by_name; /* sorted; made once the reader is done */
    struct weights **parts;       /* owned */
    size_t part_count;
    bool open_clip, velocity; /* of parts: see weights.h */
    char *lora_settings;      /* owned; what diffusers wrote of a LoRA beside its tensors (JSON), or NULL */
};

/* Fill entries from the mapped bytes. On failure what was filled in is freed by weights_close(). */
bool safetensors_read(struct weights *weights, struct error *error);
bool torch_read(struct weights *weights, struct error *error);

/* A table without a file, with room for `count` entries and `parts` parts; NULL when out of memory. */
struct weights *weights_create(const char *path, size_t count, size_t parts, struct error *error);
/* Sort the names, each of which may be there once only: the last step of every reader. */
bool weights_sort(struct weights *weights, struct error *error);

/* A name from a file, fit to be put into a sentence: short and without control characters. */
enum { QUOTED_SIZE = 100 };
const char *quoted(const char *name, char text[QUOTED_SIZE]);
const char *quoted_bytes(const unsigned char *name, size_t length, char text[QUOTED_SIZE]);

#endif
