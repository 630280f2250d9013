/* One packed file out of a checkpoint: everything that is in it, and its weights once more in the layouts
 * of this machine's kernels, so that a start maps them and packs nothing. See docs/packed-format.md. */
#ifndef INPAINT_CONVERT_H
#define INPAINT_CONVERT_H

#include "base/error.h"
#include "inpaint.h"

#include <stdint.h>

/* Members of the packed file. */
#define CONVERTED_INDEX   "packed/index.json"
#define CONVERTED_WEIGHTS "packed/weights"

struct convert_options {
    inpaint_options engine; /* dtype and threads: for whom the layouts are; no_safety: for single files */
    int width, height;      /* the pictures that it shall start for without packing; 0: those that it was trained at */
    /* Told what is being done, and how far it is: bytes written. May be NULL. False stops. */
    bool (*progress)(void *user, const char *what, uint64_t done, uint64_t total);
    void *user;
};

/* `to` is there afterwards as a whole, or as it was before. */
bool convert_model(const char *from, const char *to, const struct convert_options *options, struct error *error);

#endif
