/* Is there room for new work? The disks of the store and of the blobs, where they are this machine's: below a floor
 * nothing new is taken, and what is left is for finishing what was. */
#ifndef SERVICE_SPACE_H
#define SERVICE_SPACE_H

#include "service/request.h"

struct space {
    const char *paths[2]; /* of files or folders here; NULL: none */
    uint64_t floor;       /* bytes; 0: no floor */
};

struct space space_of(const struct service_options *options);
/* The least that is left on any of them; UINT64_MAX when none is here. */
uint64_t space_left(const struct space *space);
bool space_low(const struct space *space);
/* Answer with a problem when it is low: false. */
bool space_allows(struct request *request);

#endif
