/* Keeps worker processes running beside the service: a crash in a decoder or a network takes down
 * one attempt at one prediction, never the service. */
#ifndef CLI_SUPERVISOR_H
#define CLI_SUPERVISOR_H

#include "base/error.h"

#include <stdatomic.h>

struct supervisor;

/* Start `workers` children running /proc/self/exe with `arguments` (NULL-terminated, arguments[0] the
 * program's name). One that ends is started again, after a pause that grows while it keeps failing.
 * One that leaves with exit code 2 or 3 (its options or its model can't be used) would only do so
 * again: then *stop is set and supervisor_failed() tells. */
bool supervisor_start(char *const *arguments, int workers, atomic_int *stop, struct supervisor **supervisor, struct error *error);
int supervisor_failed(const struct supervisor *supervisor); /* that exit code, or 0 */
/* Ask them to end (SIGTERM: a running prediction goes back to the queue), then insist. */
void supervisor_end(struct supervisor *supervisor);

#endif
