#include "base/file.h"
#include "cli/commands.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef INPAINT_DATA_FOLDER
#define INPAINT_DATA_FOLDER "/usr/share/inpaintd"
#endif

static bool is_model(const char *folder) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/model_index.json", folder) < (int)sizeof path && file_exists(path);
}

const char *default_model(void) {
    static char found[PATH_MAX]; /* filled once, by the main thread */
    const char *named = getenv("INPAINT_MODEL");
    if (named && *named) return named;
    if (is_model("models/bundled")) return "models/bundled";
    ssize_t length = readlink("/proc/self/exe", found, sizeof found - 64);
    /* build/release/inpaintd: the checkout is two or three levels up. */
    for (int up = 0; length > 0 && up < 4; up++) {
        found[length] = 0;
        char *slash = strrchr(found, '/');
        if (!slash) break;
        length = slash - found;
        memcpy(slash, "/models/bundled", sizeof "/models/bundled");
        if (is_model(found)) return found;
    }
    return INPAINT_DATA_FOLDER "/models/bundled";
}
