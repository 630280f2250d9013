#include "worker/attendant.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "base/time.h"
#include "image/image.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

enum {
    TURN_MILLISECONDS = 200, /* logs are written and a cancel is noticed at least this often */
    PAUSE_MILLISECONDS = 50, /* between turns, however much is going on in the store */
    PREVIEW_MICROSECONDS = 500000,
    LOGS_MAX = 4 << 20 /* bytes that wait while the store can't be written */
};

struct attendant {
    struct store *store;
    struct blobs *blobs;
    struct lease lease;
    int lease_seconds;
    pthread_t thread;

    pthread_mutex_t lock; /* over all below */
    pthread_cond_t ending;
    bool ended;
    enum verdict verdict;
    struct buffer logs;
    struct image preview; /* waiting, or all zero */
    int64_t last_preview;

    /* the thread's own */
    int64_t last_heartbeat;
    uint32_t seen;
};

enum verdict attendant_verdict(struct attendant *attendant) {
    pthread_mutex_lock(&attendant->lock);
    enum verdict verdict = attendant->verdict;
    pthread_mutex_unlock(&attendant->lock);
    return verdict;
}

void attendant_log(struct attendant *attendant, const char *line) {
    if (!utf8_valid(line, strlen(line))) return;
    pthread_mutex_lock(&attendant->lock);
    bool kept = buffer_text(&attendant->logs, line) && buffer_text(&attendant->logs, "\n");
    if (!kept) {
        log_warning("prediction %s: log lines were dropped", attendant->lease.id);
        buffer_clear(&attendant->logs);
    }
    pthread_mutex_unlock(&attendant->lock);
}

bool attendant_wants_preview(struct attendant *attendant) {
    pthread_mutex_lock(&attendant->lock);
    bool wants = !attendant->preview.pixels && time_monotonic() - attendant->last_preview >= PREVIEW_MICROSECONDS;
    pthread_mutex_unlock(&attendant->lock);
    return wants;
}

void attendant_preview(struct attendant *attendant, int width, int height, uint8_t *pixels) {
    pthread_mutex_lock(&attendant->lock);
    image_free(&attendant->preview);
    attendant->preview = (struct image){.width = (size_t)width, .height = (size_t)height, .mode = IMAGE_RGB, .pixels = pixels};
    attendant->last_preview = time_monotonic();
    pthread_mutex_unlock(&attendant->lock);
}

/* ---- the thread ---- */

/* What an answer of the store's means. A store that fails for a moment (a full disk, a long lock)
 * changes nothing: the lease itself tells in time. */
static void judge(struct attendant *attendant, bool ok, const struct error *error) {
    if (ok) return;
    enum verdict verdict = VERDICT_GOING;
    if (error->code == ERROR_CANCELED) verdict = VERDICT_CANCELED;
    if (error->code == ERROR_CONFLICT || error->code == ERROR_NOT_FOUND) verdict = VERDICT_LOST;
    if (verdict == VERDICT_GOING) {
        log_warning("prediction %s: %s", attendant->lease.id, error->message);
        return;
    }
    pthread_mutex_lock(&attendant->lock);
    attendant->verdict = verdict;
    pthread_mutex_unlock(&attendant->lock);
}

/* Put text back in front of what has come since. */
static void put_back(struct attendant *attendant, const char *text) {
    pthread_mutex_lock(&attendant->lock);
    char *since = buffer_take(&attendant->logs);
    if (!buffer_text(&attendant->logs, text) || (since && !buffer_text(&attendant->logs, since))) buffer_clear(&attendant->logs);
    pthread_mutex_unlock(&attendant->lock);
    memory_free(since);
}

static void write_logs(struct attendant *attendant) {
    struct error error = {.code = ERROR_NONE};
    pthread_mutex_lock(&attendant->lock);
    char *text = attendant->logs.length > 0 ? buffer_take(&attendant->logs) : NULL;
    pthread_mutex_unlock(&attendant->lock);
    if (!text) return;
    bool ok = store_log(attendant->store, &attendant->lease, text, &error);
    judge(attendant, ok, &error);
    if (!ok && error.code != ERROR_CANCELED && error.code != ERROR_CONFLICT && error.code != ERROR_NOT_FOUND) put_back(attendant, text);
    memory_free(text);
}

/* A preview is a favour: one that can't be made is left out. */
static void write_preview(struct attendant *attendant) {
    struct error error = {.code = ERROR_NONE};
    struct buffer png;
    char name[101];
    pthread_mutex_lock(&attendant->lock);
    struct image image = attendant->preview;
    memset(&attendant->preview, 0, sizeof attendant->preview);
    pthread_mutex_unlock(&attendant->lock);
    if (!image.pixels) return;
    buffer_init(&png, image.width * image.height * 4 + 65536);
    if (image_encode_png(&image, NULL, &png, &error) && blob_put(attendant->blobs, ".png", png.data, png.length, name, &error)) {
        bool ok = store_preview(attendant->store, &attendant->lease, name, &error);
        judge(attendant, ok, &error);
        bool used; /* told after all, if the connection was lost in its commit */
        if (!ok && store_blob_used(attendant->store, name, &used, NULL) && !used) blob_delete(attendant->blobs, name, NULL);
    } else {
        log_warning("prediction %s: no preview: %s", attendant->lease.id, error.message);
    }
    buffer_free(&png);
    image_free(&image);
}

static void beat(struct attendant *attendant) {
    struct error error = {.code = ERROR_NONE};
    int64_t now = time_monotonic();
    if (now - attendant->last_heartbeat < (int64_t)attendant->lease_seconds * 1000000 / 3) return;
    bool ok = store_heartbeat(attendant->store, &attendant->lease, attendant->lease_seconds, &error);
    judge(attendant, ok, &error);
    if (ok) attendant->last_heartbeat = now;
}

/* Something changed in the store: was it this? */
static void look(struct attendant *attendant) {
    struct error error = {.code = ERROR_NONE};
    struct prediction prediction;
    bool ok = store_get(attendant->store, attendant->lease.id, NULL, &prediction, &error);
    if (ok && prediction.attempt != attendant->lease.attempt)
        ok = error_set(&error, ERROR_CONFLICT, "another worker has it");
    else if (ok && prediction.status == PREDICTION_CANCELED)
        ok = error_set(&error, ERROR_CANCELED, "it was canceled");
    else if (ok && prediction.status != PREDICTION_PROCESSING)
        ok = error_set(&error, ERROR_CONFLICT, "it has ended");
    judge(attendant, ok, &error);
    prediction_free(&prediction);
}

/* Wait for the end, at most so long. */
static bool has_ended(struct attendant *attendant, int milliseconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += (long)milliseconds * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&attendant->lock);
    while (!attendant->ended && pthread_cond_timedwait(&attendant->ending, &attendant->lock, &until) != ETIMEDOUT) {
    }
    bool ended = attendant->ended;
    pthread_mutex_unlock(&attendant->lock);
    return ended;
}

static void *attend(void *user) {
    struct attendant *attendant = user;
    char trace[TRACE_ID_SIZE];
    trace_id(attendant->lease.trace, trace);
    log_about(attendant->lease.id, trace);
    while (!has_ended(attendant, PAUSE_MILLISECONDS) && attendant_verdict(attendant) == VERDICT_GOING) {
        write_logs(attendant);
        write_preview(attendant);
        beat(attendant);
        if (store_wait(attendant->store, &attendant->seen, TURN_MILLISECONDS - PAUSE_MILLISECONDS)) look(attendant);
    }
    return NULL;
}

/* Signals are for the thread that paints: it looks at what they set. */
static bool start_thread(struct attendant *attendant, struct error *error) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&attendant->thread, NULL, attend, attendant);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = result;
    return result == 0 || error_from_errno(error, "can't start a thread");
}

static void destroy(struct attendant *attendant) {
    image_free(&attendant->preview);
    buffer_free(&attendant->logs);
    pthread_cond_destroy(&attendant->ending);
    pthread_mutex_destroy(&attendant->lock);
    memory_free(attendant);
}

struct attendant *attendant_start(struct store *store, struct blobs *blobs, const struct lease *lease, int lease_seconds,
                                  struct error *error) {
    struct attendant *attendant = memory_zero(sizeof *attendant);
    if (!attendant) {
        error_set(error, ERROR_MEMORY, "out of memory");
        return NULL;
    }
    attendant->store = store;
    attendant->blobs = blobs;
    attendant->lease = *lease;
    attendant->lease_seconds = lease_seconds;
    attendant->last_heartbeat = time_monotonic();
    pthread_mutex_init(&attendant->lock, NULL);
    pthread_cond_init(&attendant->ending, NULL);
    buffer_init(&attendant->logs, LOGS_MAX);
    if (start_thread(attendant, error)) return attendant;
    destroy(attendant);
    return NULL;
}

enum verdict attendant_end(struct attendant *attendant) {
    pthread_mutex_lock(&attendant->lock);
    attendant->ended = true;
    pthread_cond_signal(&attendant->ending);
    pthread_mutex_unlock(&attendant->lock);
    store_wake(attendant->store);
    pthread_join(attendant->thread, NULL);
    if (attendant->verdict == VERDICT_GOING) write_logs(attendant);
    enum verdict verdict = attendant->verdict;
    destroy(attendant);
    return verdict;
}
