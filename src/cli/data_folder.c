#include "cli/data_folder.h"

#include "base/file.h"
#include "base/memory.h"

#include <stdlib.h>

static char *default_root(void) {
    const char *named = getenv("INPAINT_DATA"), *shared = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    if (named && *named) return memory_string(named);
    if (shared && *shared) return file_join(shared, "inpaintd");
    return home && *home ? file_join(home, ".local/share/inpaintd") : memory_string("inpaintd-data");
}

bool data_folder_open(const char *root, struct data_folder *data, struct error *error) {
    *data = (struct data_folder){.root = root ? memory_string(root) : default_root()};
    if (data->root) {
        data->store = file_join(data->root, "inpaintd.db");
        data->blobs = file_join(data->root, "blobs");
    }
    bool fine = data->root && data->store && data->blobs;
    if (!fine)
        error_set(error, ERROR_MEMORY, "out of memory");
    else
        fine = file_make_folders(data->blobs, error) || error_context(error, "the data folder (choose another with --data)");
    if (!fine) data_folder_free(data);
    return fine;
}

/* `url`, else the variable's value, in *place's stead; children get it through the variable. */
static bool use_instead(char **place, const char *url, const char *variable, struct error *error) {
    const char *named = url ? url : getenv(variable);
    if (!named || !*named) return true;
    char *copy = memory_string(named);
    if (!copy || (url && setenv(variable, url, 1) != 0)) {
        memory_free(copy);
        return error_set(error, ERROR_MEMORY, "out of memory");
    }
    memory_free(*place);
    *place = copy;
    return true;
}

bool data_folder_use_store(struct data_folder *data, const char *url, struct error *error) {
    return use_instead(&data->store, url, "INPAINT_STORE", error);
}

bool data_folder_use_blobs(struct data_folder *data, const char *url, struct error *error) {
    return use_instead(&data->blobs, url, "INPAINT_BLOBS", error);
}

bool log_format_use(int format, bool given, struct error *error) {
    return !given || setenv("INPAINT_LOG_FORMAT", format ? "json" : "text", 1) == 0 || error_set(error, ERROR_MEMORY, "out of memory");
}

void data_folder_free(struct data_folder *data) {
    memory_free(data->root);
    memory_free(data->store);
    memory_free(data->blobs);
    *data = (struct data_folder){0};
}
