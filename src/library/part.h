/* A file on its way: its bytes so far, and which of them are there. Only for this folder. */
#ifndef LIBRARY_PART_H
#define LIBRARY_PART_H

#include "library/transfer.h"

struct span {
    uint64_t first, end, done; /* bytes [first, first + done) are there */
    bool busy;                 /* a connection is at it */
};

enum { ETAG_SIZE = 128 };

struct part {
    const struct transfer_file *to;
    int file; /* PATH.part; -1: not open (not begun, or whole) */
    struct span *spans;
    size_t count;
    char etag[ETAG_SIZE]; /* of what is there, as the last host called it; "": none */
    bool single;          /* the server knows no ranges: one connection, from the beginning each time */
    bool whole;           /* checked and at its path */
    bool again;           /* its hash or length was wrong once */
    bool changed;         /* spans went on since they were written down */
    int failures;         /* since bytes last arrived */
    int64_t not_before;   /* when to try again (monotonic) */
};

/* Find out what is there: the file itself, a part of it, or nothing. */
bool part_open(struct part *part, const struct transfer_file *to, struct error *error);
void part_close(struct part *part);
/* Nothing of it is there: from the beginning, in ranges or (single) in one. */
bool part_restart(struct part *part, bool single, struct error *error);
bool part_write(struct part *part, struct span *span, const void *data, size_t length, struct error *error);
/* Write down what is there, if that changed. */
bool part_save(struct part *part, struct error *error);
uint64_t part_done(const struct part *part);
/* A span that nobody is at; NULL when all are busy or done. */
struct span *part_next(struct part *part);
/* All is there and checked: sync it and give it its name. */
bool part_finish(struct part *part, struct error *error);

/* PATH.part as a heap string. */
char *part_path(const char *path, const char *ending);

#endif
