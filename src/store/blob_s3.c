/* Blobs in S3.
 *
 * What is written is spooled in a temporary file first and sent by blob_commit(): its sums are known
 * before the first byte leaves, a broken attempt can be made again, and nothing of a body that a
 * client never finishes reaches the bucket. An object appears whole or not at all, and is durable when
 * S3 has said 200. What is read is fetched into a temporary file, whose descriptor the caller gets. */
#include "store/blob_s3.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHOLE_BYTES_MAX = 16 << 20, PAGES_MAX = 1000000 };

struct s3_writer {
    struct blob_writer base;
    int descriptor;
    size_t length;
};

static struct s3 *s3_of(struct blobs *blobs) { return (struct s3 *)blobs; }

bool s3_is_ours(const char *name) {
    return blob_name_valid(name) && strspn(name, "abcdefghijklmnopqrstuvwxyz234567") >= BLOB_RANDOM_DIGITS;
}

/* A file without a name: it goes with its descriptor. */
static bool make_spool(int *descriptor, struct error *error) {
    const char *folder = getenv("TMPDIR");
    char *path = file_join(folder && *folder ? folder : "/tmp", "inpaintd-blob-XXXXXX");
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory");
    *descriptor = mkostemp(path, O_CLOEXEC);
    bool ok = (*descriptor >= 0 && unlink(path) == 0) || error_from_errno(error, "no temporary file can be made (%s)", path);
    if (!ok && *descriptor >= 0) close(*descriptor);
    memory_free(path);
    return ok;
}

/* ---- writing ---- */

static bool store_body(struct s3 *s3, const char *name, const struct s3_body *body, struct error *error) {
    const struct s3_request request = {.method = "PUT", .name = name, .body = body};
    struct s3_answer answer;
    if (body->length > S3_OBJECT_BYTES_MAX) return error_set(error, ERROR_LIMIT, "a blob may have %zu bytes", S3_OBJECT_BYTES_MAX);
    if (body->length > WHOLE_BYTES_MAX) return s3_put_in_parts(s3, name, body, error);
    bool ok = s3_request(s3, &request, &answer, error);
    s3_answer_free(&answer);
    return ok;
}

static bool s3_put(struct blobs *blobs, const char *name, const void *data, size_t length, struct error *error) {
    const struct s3_body body = {.data = length > 0 ? data : "", .length = length};
    return store_body(s3_of(blobs), name, &body, error);
}

static bool s3_begin(struct blobs *blobs, const char *name, struct blob_writer **begun, struct error *error) {
    struct s3_writer *writer = memory_zero(sizeof *writer);
    if (!writer) return error_set(error, ERROR_MEMORY, "out of memory");
    writer->base.blobs = blobs;
    snprintf(writer->base.name, sizeof writer->base.name, "%s", name);
    if (!make_spool(&writer->descriptor, error)) {
        memory_free(writer);
        return false;
    }
    *begun = &writer->base;
    return true;
}

static bool s3_append(struct blob_writer *base, const void *data, size_t length, struct error *error) {
    struct s3_writer *writer = (struct s3_writer *)base;
    if (length > S3_OBJECT_BYTES_MAX - writer->length)
        return error_set(error, ERROR_LIMIT, "a blob may have %zu bytes", S3_OBJECT_BYTES_MAX);
    if (!blob_write_all(writer->descriptor, data, length)) return error_from_errno(error, "can't write a blob");
    writer->length += length;
    return true;
}

static void s3_abandon(struct blob_writer *base) {
    struct s3_writer *writer = (struct s3_writer *)base;
    close(writer->descriptor);
    memory_free(writer);
}

static bool s3_commit(struct blob_writer *base, struct error *error) {
    struct s3_writer *writer = (struct s3_writer *)base;
    const struct s3_body body = {.descriptor = writer->descriptor, .length = writer->length};
    bool ok = store_body(s3_of(base->blobs), base->name, &body, error);
    s3_abandon(base);
    return ok;
}

/* ---- reading, deleting ---- */

static bool s3_open(struct blobs *blobs, const char *name, size_t maximum, int *descriptor, size_t *size, int64_t *modified,
                    struct error *error) {
    int spool;
    if (!make_spool(&spool, error)) return false;
    if (maximum > S3_OBJECT_BYTES_MAX) maximum = S3_OBJECT_BYTES_MAX;
    const struct s3_request request = {.method = "GET", .name = name, .into_file = true, .descriptor = spool, .maximum = maximum};
    struct s3_answer answer;
    bool ok = s3_request(s3_of(blobs), &request, &answer, error);
    if (ok && lseek(spool, 0, SEEK_SET) != 0) ok = error_from_errno(error, "can't read a blob");
    if (ok) {
        *descriptor = spool;
        *size = answer.length;
        if (modified) *modified = answer.modified;
    } else {
        close(spool);
    }
    s3_answer_free(&answer);
    return ok;
}

static bool s3_remove(struct blobs *blobs, const char *name, struct error *error) {
    const struct s3_request request = {.method = "DELETE", .name = name};
    struct s3_answer answer;
    struct error reason = {.code = ERROR_NONE};
    bool ok = s3_request(s3_of(blobs), &request, &answer, &reason) || reason.code == ERROR_NOT_FOUND;
    s3_answer_free(&answer);
    return ok || error_set(error, reason.code, "%s", reason.message);
}

/* ---- visiting ---- */

struct listed {
    char name[BLOB_NAME_SIZE];
    uint64_t size;
    int64_t modified;
};

struct page {
    const char *prefix;
    struct listed now; /* that is being read */
    struct listed *objects;
    size_t count, capacity;
    bool more;
    char next[S3_ID_SIZE * 4]; /* where the next page begins */
};

static bool keep_object(struct page *page) {
    if (page->count == page->capacity) {
        size_t capacity = page->capacity ? page->capacity * 2 : 64;
        struct listed *more = memory_resize(page->objects, capacity * sizeof *more);
        if (!more) return false;
        page->objects = more;
        page->capacity = capacity;
    }
    page->objects[page->count++] = page->now;
    return true;
}

static bool on_listed(void *user, const char *path, const char *text) {
    struct page *page = user;
    size_t prefix = strlen(page->prefix);
    if (strcmp(path, "Contents") == 0 && !text) {
        bool ok = !s3_is_ours(page->now.name) || page->now.modified <= 0 || keep_object(page);
        page->now = (struct listed){.modified = 0};
        return ok;
    }
    if (!text) return true;
    if (strcmp(path, "Contents/Key") == 0 && strncmp(text, page->prefix, prefix) == 0 && strlen(text + prefix) < BLOB_NAME_SIZE)
        snprintf(page->now.name, sizeof page->now.name, "%s", text + prefix);
    if (strcmp(path, "Contents/LastModified") == 0 && !time_parse(text, &page->now.modified)) page->now.modified = 0;
    if (strcmp(path, "Contents/Size") == 0) page->now.size = strtoull(text, NULL, 10);
    if (strcmp(path, "IsTruncated") == 0) page->more = strcmp(text, "true") == 0;
    if (strcmp(path, "NextContinuationToken") == 0) {
        if (strlen(text) >= sizeof page->next) return false;
        snprintf(page->next, sizeof page->next, "%s", text);
    }
    return true;
}

/* One page from `token` on ("": the first); the caller frees page->objects. */
static bool read_page(struct s3 *s3, const char *token, int maximum, struct page *page, struct error *error) {
    struct buffer query;
    struct s3_answer answer = {.status = 0};
    char root[64];
    *page = (struct page){.prefix = s3->settings.prefix};
    buffer_init(&query, 16384);
    bool ok = token[0] == 0 || (buffer_text(&query, "continuation-token=") && s3_escape(&query, token) && buffer_text(&query, "&"));
    ok = ok && buffer_format(&query, "delimiter=%%2F&list-type=2&max-keys=%d&prefix=", maximum) && s3_escape(&query, page->prefix);
    if (!ok) error_set(error, ERROR_MEMORY, "out of memory");
    const struct s3_request request = {.method = "GET", .query = query.data};
    ok = ok && s3_request(s3, &request, &answer, error);
    if (ok && (answer.text.length == 0 || !s3_xml_read(answer.text.data, answer.text.length, root, on_listed, page) ||
               strcmp(root, "ListBucketResult") != 0))
        ok = error_set(error, ERROR_IO, "what answers at %s does not list a bucket as S3 does", s3->settings.endpoint);
    s3_answer_free(&answer);
    buffer_free(&query);
    return ok;
}

/* Leftovers first: a server or a key that can't list uploads is no reason to keep everything else. */
static bool s3_each(struct blobs *blobs, blob_visit *visit, void *user, struct error *error) {
    struct s3 *s3 = s3_of(blobs);
    struct error reason = {.code = ERROR_NONE};
    char token[sizeof((struct page *)0)->next] = "";
    bool ok = true, going = true;
    if (!s3_clean_parts(s3, &reason)) log_warning("looking for uploads that a crash left: %s", reason.message);
    for (int pages = 0; ok && going; pages++) {
        struct page page;
        ok = read_page(s3, token, 1000, &page, error);
        for (size_t i = 0; ok && going && i < page.count; i++)
            going = visit(user, page.objects[i].name, page.objects[i].size, page.objects[i].modified);
        memory_free(page.objects);
        if (!ok || !page.more) break;
        if (!page.next[0] || strcmp(page.next, token) == 0 || pages >= PAGES_MAX)
            ok = error_set(error, ERROR_IO, "S3 at %s lists the bucket without an end", s3->settings.endpoint);
        memcpy(token, page.next, sizeof token);
    }
    return ok;
}

/* ---- opening ---- */

static void s3_close(struct blobs *blobs) {
    struct s3 *s3 = s3_of(blobs);
    while (s3->idle_count > 0) curl_easy_cleanup(s3->idle[--s3->idle_count]);
    pthread_mutex_destroy(&s3->lock);
    s3_settings_free(&s3->settings);
    memory_free(s3);
}

static const struct blob_backend s3_backend = {
    .close = s3_close,
    .put = s3_put,
    .begin = s3_begin,
    .append = s3_append,
    .commit = s3_commit,
    .abandon = s3_abandon,
    .open = s3_open,
    .remove = s3_remove,
    .each = s3_each,
};

/* A look at the bucket tells at once what is wrong with keys, names, clocks and certificates. */
bool blob_s3_open(const char *url, struct blobs **opened, struct error *error) {
    struct s3_settings settings;
    struct page page;
    if (!s3_settings_read(url, &settings, error)) return false;
    struct s3 *s3 = memory_zero(sizeof *s3);
    if (!s3) {
        s3_settings_free(&settings);
        return error_set(error, ERROR_MEMORY, "out of memory");
    }
    s3->base.backend = &s3_backend;
    s3->settings = settings;
    snprintf(s3->signature, sizeof s3->signature, "aws:amz:%s:s3", settings.region);
    pthread_mutex_init(&s3->lock, NULL);
    bool ok = read_page(s3, "", 1, &page, error);
    memory_free(page.objects);
    if (ok)
        *opened = &s3->base;
    else
        s3_close(&s3->base);
    return ok;
}
