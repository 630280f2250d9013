#include "base/file.h"
#include "cli/commands.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_model(const char *folder) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/model_index.json", folder) < (int)sizeof path && file_exists(path);
}

static const char installed[] = "/share/inpaintd/models/bundled";

const char *default_model(void) {
    static char found[PATH_MAX]; /* filled once, by the main thread */
    const char *named = getenv("INPAINT_MODEL");
    if (named && *named) return named;
    if (is_model("models/bundled")) return "models/bundled";
    ssize_t length = readlink("/proc/self/exe", found, sizeof found - 64);
    /* build/release/inpaintd: the checkout is two or three levels up. bin/inpaintd: its share is beside bin. */
    for (int up = 0; length > 0 && up < 4; up++) {
        found[length] = 0;
        char *slash = strrchr(found, '/');
        if (!slash) break;
        length = slash - found;
        memcpy(slash, "/models/bundled", sizeof "/models/bundled");
        if (is_model(found)) return found;
        memcpy(slash, installed, sizeof installed);
        if (is_model(found)) return found;
    }
    return "/usr/share/inpaintd/models/bundled";
}
