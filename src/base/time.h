/* Clocks and their text. All times are microseconds; wall-clock times count from 1970 in UTC. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t time_wall(void);      /* for records; may jump */
int64_t time_monotonic(void); /* for durations */
int64_t time_processor(void); /* that all threads of this process together have had of processors */
void time_sleep(int64_t microseconds);

enum { TIME_TEXT_SIZE = 32 };
/* RFC 3339 in UTC, e.g. 2025-12-23T17:38:33.938Z. digits: 0, 3 or 6 of a second's fraction. */
const char *time_text(int64_t wall, int digits, char text[TIME_TEXT_SIZE]);
/* RFC 3339 with Z, +00:00 or " 00:00" (a '+' decoded as a space), up to 9 digits of fraction; a
 * date alone means midnight UTC. */
bool time_parse(const char *text, int64_t *wall);

#endif
