/* Waking other threads and processes without polling: one counter in a small file that all of them
 * map, slept upon with a futex. Nothing depends on the file's content: it only ends sleeps early.
 *
 * A process that finds the file gone or replaced maps the new one. Where there can be no such file
 * (read-only or full disk), wake_wait() returns true every half second instead: look for yourself. */
#ifndef STORE_WAKE_H
#define STORE_WAKE_H

#include "base/error.h"

#include <stdint.h>

struct wake;

/* NULL only when out of memory. */
struct wake *wake_open(const char *path);
void wake_close(struct wake *wake);

/* Count one change and end every sleep. */
void wake_all(struct wake *wake);
/* Sleep until the counter differs from *seen (then set to it: true) or the time is up or a signal came (false). */
bool wake_wait(struct wake *wake, uint32_t *seen, int milliseconds);

#endif
