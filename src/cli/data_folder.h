/* Where a server keeps what it must not lose, and how its parts are named there. */
#ifndef CLI_DATA_FOLDER_H
#define CLI_DATA_FOLDER_H

#include "base/error.h"

struct data_folder {
    char *root, *store, *blobs; /* store: the database file, or a URL; blobs: a folder, or a URL */
};

/* root NULL: $INPAINT_DATA, else $XDG_DATA_HOME/inpaintd, else ~/.local/share/inpaintd. Makes the folders. */
bool data_folder_open(const char *root, struct data_folder *data, struct error *error);
/* Use this store, --store's, instead of the folder's own database; NULL: $INPAINT_STORE, if it is set.
 * Child processes get it through $INPAINT_STORE: a URL may hold a password, and arguments are for all to see. */
bool data_folder_use_store(struct data_folder *data, const char *url, struct error *error);
#define STORE_OPTION(target)                                                                                                               \
    {                                                                                                                                      \
        "store", 0, OPTION_TEXT, "URL", "postgres://... for several machines (default: $INPAINT_STORE, else a file in --data)", target, 0, \
            0, NULL                                                                                                                        \
    }
/* The same for --blobs and $INPAINT_BLOBS: a folder or s3://BUCKET/PREFIX. */
bool data_folder_use_blobs(struct data_folder *data, const char *url, struct error *error);
#define BLOBS_OPTION(target)                                                                                                               \
    {                                                                                                                                      \
        "blobs", 0, OPTION_TEXT, "URL", "pictures in s3://BUCKET/PREFIX (default: $INPAINT_BLOBS, else a folder in --data)", target, 0, 0, \
            NULL                                                                                                                           \
    }
/* --log-format, for this process and its children. */
bool log_format_use(int format, bool given, struct error *error);
#define LOG_FORMAT_OPTION(target, given)                                                                                                   \
    {                                                                                                                                      \
        "log-format", 0, OPTION_CHOICE, "text|json", "of the lines on standard error (default: $INPAINT_LOG_FORMAT, else text)", target,   \
            0, 0, given                                                                                                                    \
    }
void data_folder_free(struct data_folder *data);

#endif
