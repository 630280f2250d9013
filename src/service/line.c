#include "service/line.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { OWNERS = 1024, PROBES = 8, FRESH = 1000000, FRESH_WHEN_FULL = 100000 };

struct line {
    char owner[64];
    bool used;
    size_t room;     /* places left since it was counted */
    int64_t counted; /* the least recent one gives way when there are too many owners */
};

struct lines {
    pthread_mutex_t lock;
    size_t limit;
    struct line lines[OWNERS];
};

struct lines *lines_create(int limit) {
    struct lines *lines = memory_zero(sizeof *lines);
    if (lines == NULL) return NULL;
    pthread_mutex_init(&lines->lock, NULL);
    lines->limit = (size_t)limit;
    return lines;
}

void lines_free(struct lines *lines) {
    if (lines == NULL) return;
    pthread_mutex_destroy(&lines->lock);
    memory_free(lines);
}

/* The owner's line among a few neighbours; a new one is still to be counted. */
static struct line *find(struct lines *lines, const char *owner) {
    uint32_t hash = 2166136261u;
    for (const char *byte = owner; *byte != 0; byte++) hash = (hash ^ (unsigned char)*byte) * 16777619u;
    struct line *oldest = &lines->lines[hash % OWNERS];
    for (uint32_t i = 0; i < PROBES; i++) {
        struct line *line = &lines->lines[(hash + i) % OWNERS];
        if (line->used && strcmp(line->owner, owner) == 0) return line;
        if (!line->used || (oldest->used && line->counted < oldest->counted)) oldest = line;
    }
    memset(oldest, 0, sizeof *oldest);
    snprintf(oldest->owner, sizeof oldest->owner, "%s", owner);
    return oldest;
}

static bool count(struct lines *lines, struct line *line, struct store *store, int64_t now, struct error *error) {
    size_t waiting;
    if (!store_waiting(store, line->owner, lines->limit, &waiting, error)) return false;
    line->room = waiting < lines->limit ? lines->limit - waiting : 0;
    line->counted = now;
    line->used = true;
    return true;
}

bool lines_take(struct lines *lines, struct store *store, const char *owner, int64_t now, bool *full, struct error *error) {
    pthread_mutex_lock(&lines->lock);
    struct line *line = find(lines, owner);
    int64_t age = now - line->counted;
    bool fresh = line->used && age < (line->room == 0 ? FRESH_WHEN_FULL : FRESH);
    bool fine = fresh || count(lines, line, store, now, error);
    *full = fine && line->room == 0;
    if (fine && !*full) line->room--;
    pthread_mutex_unlock(&lines->lock);
    return fine;
}
