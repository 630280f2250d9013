/* How long each token's line of waiting predictions may become. The store counts; in between this counts
 * along, so that a create costs no counting. Several services that count apart may let in a little more
 * in the second until each counts again. */
#ifndef SERVICE_LINE_H
#define SERVICE_LINE_H

#include "store/store.h"

struct lines;

/* NULL when out of memory. */
struct lines *lines_create(int limit);
void lines_free(struct lines *lines);
/* A place for one more of the owner's; *full: there is none. False: the store can't be asked. now: monotonic. */
bool lines_take(struct lines *lines, struct store *store, const char *owner, int64_t now, bool *full, struct error *error);

#endif
