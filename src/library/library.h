/* The models folder: what was pulled, under the names of the Hub.
 *
 *   FOLDER/OWNER/NAME/             a checkpoint as it was pulled, and inpaintd.json, which records it
 *   FOLDER/.pulling/OWNER--NAME/   one that is on its way
 *   FOLDER/.licenses/NAME          licences accepted
 */
#ifndef LIBRARY_LIBRARY_H
#define LIBRARY_LIBRARY_H

#include "base/error.h"

#include <stdint.h>

#define LIBRARY_RECORD "inpaintd.json"

/* $INPAINT_MODELS, else ~/.local/share/inpaintd/models, as a heap string. */
char *library_folder(struct error *error);

/* What --model names: a path that exists, or a model that was pulled; anything else stays as it is
 * (and will be said not to be there). Heap string; NULL when out of memory. */
char *library_resolve(const char *name);

/* What inpaintd.json says of a pulled model. */
struct record_file {
    char *path;
    uint64_t size;
    char sha256[65];
};
struct record {
    char *id, *source, *license;
    char *main; /* the checkpoint's file when it is a single one, else NULL */
    char revision[65];
    struct record_file *files;
    size_t count;
    uint64_t bytes;
};
bool record_read(const char *model_folder, struct record *record, struct error *error);
bool record_write(const char *model_folder, const struct record *record, struct error *error);
void record_free(struct record *record);

/* All pulled models, by name. *records: records_free(). A folder whose record can't be read is passed over. */
bool library_list(const char *folder, struct record **records, size_t *count, struct error *error);
void records_free(struct record *records, size_t count);

/* Compare what lies in the folder with its record. `seen` as checksum_file()'s, with the total added. One
 * call of `wrong` for each file that is missing, too long, too short or changed; *damaged counts them. */
struct verify {
    bool (*seen)(void *user, uint64_t done, uint64_t total);
    void (*wrong)(void *user, const char *path, const char *what);
    void *user;
};
bool library_verify(const char *model_folder, const struct record *record, const struct verify *verify, size_t *damaged,
                    struct error *error);

/* The same for a packed file; *count: its members. */
bool library_verify_packed(const char *path, const struct verify *verify, size_t *count, size_t *damaged, struct error *error);

/* Remove a pulled model (by its id), or what there is of one that was not pulled in full. *bytes: what that frees. */
bool library_remove(const char *folder, const char *id, uint64_t *bytes, struct error *error);

#endif
