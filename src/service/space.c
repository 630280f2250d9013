#include "service/space.h"
#include "base/file.h"
#include "base/log.h"

#include <string.h>

/* A plain path; a URL of another kind is not on this machine's disks. */
static const char *path_of(const char *url) {
    if (strncmp(url, "sqlite:", 7) == 0) return url + 7;
    return strstr(url, "://") == NULL ? url : NULL;
}

struct space space_of(const struct service_options *options) {
    return (struct space){{path_of(options->store_url), path_of(options->blobs_url)}, options->free_bytes};
}

uint64_t space_left(const struct space *space) {
    uint64_t least = UINT64_MAX, bytes;
    struct error error;
    for (size_t i = 0; i < sizeof space->paths / sizeof space->paths[0]; i++) {
        if (space->paths[i] == NULL) continue;
        if (!file_free_bytes(space->paths[i], &bytes, &error))
            log_warning("%s", error.message);
        else if (bytes < least)
            least = bytes;
    }
    return least;
}

bool space_low(const struct space *space) { return space->floor > 0 && space_left(space) < space->floor; }

bool space_allows(struct request *request) {
    struct space space = space_of(request->service->options);
    if (!space_low(&space)) return true;
    answer_problem(
        request, 507, "Insufficient storage",
        "The server's disk is almost full: it takes nothing new until there is room again. What it has taken is being finished.");
    answer_header(request, "Retry-After", "60");
    answer_header(request, "x-should-retry", "false");
    return false;
}
