/* The headers that ask for a way of creating: Prefer (RFC 7240) and Cancel-After. */
#ifndef SERVICE_PREFERENCE_H
#define SERVICE_PREFERENCE_H

#include <stdbool.h>
#include <stdint.h>

struct preference {
    bool wait;
    int seconds;          /* how long to wait, within the maximum */
    bool data_uri_output; /* output=data-uri: this prediction's outputs as data URIs (extension) */
    char applied[64];     /* for Preference-Applied: "wait", "wait=10", "wait, output=data-uri" */
};

/* Never refuses: what it does not understand is left out. header may be NULL. */
void preference_parse(const char *header, int maximum, struct preference *preference);
/* How long after the request's arrival a waiting create must be answered: a little before a client
 * that reads for 60 seconds in total gives up. */
int64_t preference_microseconds(const struct preference *preference);

/* "30s", "5m", "1h30m45s", "90": seconds, at least 5 and at most 30 days. */
bool cancel_after_parse(const char *text, int64_t *seconds);

#endif
