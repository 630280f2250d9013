/* Where a server keeps what it must not lose, and how its parts are named there. */
#ifndef CLI_DATA_FOLDER_H
#define CLI_DATA_FOLDER_H

#include "base/error.h"

struct data_folder {
    char *root, *store, *blobs; /* store: the database file; blobs: a folder */
};

/* root NULL: $INPAINT_DATA, else $XDG_DATA_HOME/inpaintd, else ~/.local/share/inpaintd. Makes the folders. */
bool data_folder_open(const char *root, struct data_folder *data, struct error *error);
void data_folder_free(struct data_folder *data);

#endif
