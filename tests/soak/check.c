/* A store that nobody uses now: its own checks, then the sweep of all blobs without an owner, whatever
 * their age.
 *
 *     soak-check STORE BLOBS */
#include "base/time.h"
#include "store/sweep.h"

#include <stdio.h>

int main(int argc, char **argv) {
    struct error error = {.code = ERROR_NONE};
    struct store *store = NULL;
    struct blobs *blobs = NULL;
    size_t deleted = 0;
    if (argc != 3) return 2;
    bool ok = store_open(argv[1], &store, &error) && blobs_open(argv[2], &blobs, &error) && store_check(store, &error) &&
              store_sweep(store, blobs, time_wall() + 60000000, &deleted, &error);
    blobs_close(blobs);
    store_close(store);
    if (!ok) {
        fprintf(stderr, "%s: %s\n", error_name(error.code), error.message);
        return 1;
    }
    printf("%zu files without an owner swept\n", deleted);
    return 0;
}
