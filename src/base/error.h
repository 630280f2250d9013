/* Errors as values.
 *
 * A function that can fail returns `bool` (or NULL / -1) and takes a `struct error *` as its last
 * parameter. On failure it fills that in with one sentence that the reader can act on; on success
 * it leaves it alone. `error` may be NULL where the caller does not want the sentence.
 * Nothing in this program calls exit() or abort() because of something that came from outside. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

/* name, value, HTTP status, exit code of the command line */
#define ERROR_CODES(X)                                                                                                                     \
    X(NONE, 0, 200, 0)         /* nothing went wrong */                                                                                    \
    X(INTERNAL, 1, 500, 1)     /* a bug here, or a library refused what it should not */                                                   \
    X(MEMORY, 2, 507, 1)       /* out of memory, or above the budget given */                                                              \
    X(IO, 3, 500, 1)           /* read, write, sync or map failed */                                                                       \
    X(FULL, 4, 507, 1)         /* no space left on the device */                                                                           \
    X(ARGUMENT, 10, 422, 2)    /* an option or an input value is out of its range */                                                       \
    X(FORMAT, 11, 422, 3)      /* a file or body is not what it claims to be */                                                            \
    X(LIMIT, 12, 413, 3)       /* larger than we accept */                                                                                 \
    X(UNSUPPORTED, 13, 422, 3) /* well-formed, but nothing here can use it */                                                              \
    X(NOT_FOUND, 14, 404, 3)   /* no such file, tensor, prediction, ... */                                                                 \
    X(NETWORK, 15, 502, 3)     /* a download or a delivery failed */                                                                       \
    X(CANCELED, 20, 200, 130)  /* somebody asked to stop */                                                                                \
    X(NSFW, 21, 200, 4)        /* every output was flagged by the safety checker */                                                        \
    X(CONFLICT, 22, 409, 1)    /* lease lost: another worker owns this now */                                                              \
    X(DENIED, 23, 401, 1)      /* missing or wrong token */

enum error_code {
#define X(name, value, http, exit) ERROR_##name = value,
    ERROR_CODES(X)
#undef X
};

struct error {
    enum error_code code;
    char message[512]; /* UTF-8, never cut inside a character */
};

/* Fill in `error` (printf-like) and return false, so that `return error_set(...)` reads well. */
bool error_set(struct error *error, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the message that is already there; returns false. */
bool error_context(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ERROR_IO (or FULL, NOT_FOUND, MEMORY by errno) with "what: strerror"; returns false. */
bool error_from_errno(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

const char *error_name(enum error_code code);
int error_http_status(enum error_code code);
int error_exit_code(enum error_code code);

#endif
