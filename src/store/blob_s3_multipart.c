/* Big files in parts: begun, sent part by part, then completed, which makes the object appear whole; or
 * aborted. What a crash leaves half sent is invisible, and aborted by the sweep a day later. */
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "store/blob_s3.h"

#include <stdio.h>
#include <string.h>

enum { PART_BYTES = 8 << 20, PARTS_MAX = S3_OBJECT_BYTES_MAX / PART_BYTES, LEFT_SECONDS = 24 * 3600 };

/* ---- sending ---- */

static bool on_begun(void *user, const char *path, const char *text) {
    char *id = user;
    if (text && strcmp(path, "UploadId") == 0 && strlen(text) < S3_ID_SIZE) snprintf(id, S3_ID_SIZE, "%s", text);
    return true;
}

static bool begin(struct s3 *s3, const char *name, char id[S3_ID_SIZE], struct error *error) {
    const struct s3_request request = {.method = "POST", .name = name, .query = "uploads="};
    struct s3_answer answer;
    char root[64];
    id[0] = 0;
    bool ok = s3_request(s3, &request, &answer, error);
    if (ok && (answer.text.length == 0 || !s3_xml_read(answer.text.data, answer.text.length, root, on_begun, id) || !id[0]))
        ok = error_set(error, ERROR_IO, "S3 at %s begins an upload without saying which", s3->settings.endpoint);
    s3_answer_free(&answer);
    return ok;
}

/* "partNumber=3&uploadId=..." or without the number; a heap string. */
static char *upload_query(const char *id, size_t number) {
    struct buffer query;
    buffer_init(&query, 4 * S3_ID_SIZE);
    bool ok =
        (number == 0 || buffer_format(&query, "partNumber=%zu&", number)) && buffer_text(&query, "uploadId=") && s3_escape(&query, id);
    char *text = ok ? buffer_take(&query) : NULL;
    buffer_free(&query);
    return text;
}

static bool abort_upload(struct s3 *s3, const char *name, const char *id, struct error *error) {
    char *query = upload_query(id, 0);
    const struct s3_request request = {.method = "DELETE", .name = name, .query = query};
    struct s3_answer answer = {.status = 0};
    struct error reason = {.code = ERROR_NONE};
    bool ok = query != NULL || error_set(&reason, ERROR_MEMORY, "out of memory");
    ok = ok && (s3_request(s3, &request, &answer, &reason) || reason.code == ERROR_NOT_FOUND);
    s3_answer_free(&answer);
    memory_free(query);
    return ok || error_set(error, reason.code, "%s", reason.message);
}

/* Send one part and add its line to the list. */
static bool send_part(struct s3 *s3, const char *name, const char *id, size_t number, const struct s3_body *part, struct buffer *list,
                      struct error *error) {
    char *query = upload_query(id, number);
    const struct s3_request request = {.method = "PUT", .name = name, .query = query, .body = part};
    struct s3_answer answer = {.status = 0};
    bool ok = query != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    ok = ok && s3_request(s3, &request, &answer, error);
    if (ok && !answer.tag[0]) ok = error_set(error, ERROR_IO, "S3 at %s takes a part without an ETag", s3->settings.endpoint);
    if (ok && !buffer_format(list, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", number, answer.tag))
        ok = error_set(error, ERROR_MEMORY, "out of memory");
    s3_answer_free(&answer);
    memory_free(query);
    return ok;
}

static bool send_parts(struct s3 *s3, const char *name, const char *id, const struct s3_body *body, struct buffer *list,
                       struct error *error) {
    bool ok = buffer_text(list, "<CompleteMultipartUpload>") || error_set(error, ERROR_MEMORY, "out of memory");
    for (size_t at = 0, number = 1; ok && at < body->length; number++) {
        size_t length = body->length - at < PART_BYTES ? body->length - at : PART_BYTES;
        const struct s3_body part = {.data = body->data ? (const char *)body->data + at : NULL,
                                     .descriptor = body->descriptor,
                                     .offset = body->offset + at,
                                     .length = length};
        ok = send_part(s3, name, id, number, &part, list, error);
        at += length;
    }
    return ok && (buffer_text(list, "</CompleteMultipartUpload>") || error_set(error, ERROR_MEMORY, "out of memory"));
}

static bool is_there(struct s3 *s3, const char *name, struct error *error) {
    const struct s3_request request = {.method = "HEAD", .name = name};
    struct s3_answer answer;
    bool ok = s3_request(s3, &request, &answer, error);
    s3_answer_free(&answer);
    return ok;
}

/* A completion whose answer was lost is asked for again, and then the upload is gone: was it done? */
static bool complete(struct s3 *s3, const char *name, const char *id, const struct buffer *list, struct error *error) {
    char *query = upload_query(id, 0);
    const struct s3_body body = {.data = list->data, .length = list->length};
    const struct s3_request request = {.method = "POST", .name = name, .query = query, .body = &body, .slow = true};
    struct s3_answer answer = {.status = 0};
    bool ok = query != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    ok = ok && s3_request(s3, &request, &answer, error);
    if (!ok && strcmp(answer.code, "NoSuchUpload") == 0) ok = is_there(s3, name, error);
    s3_answer_free(&answer);
    memory_free(query);
    return ok;
}

bool s3_put_in_parts(struct s3 *s3, const char *name, const struct s3_body *body, struct error *error) {
    char id[S3_ID_SIZE];
    struct buffer list;
    struct error ignored = {.code = ERROR_NONE};
    if (!begin(s3, name, id, error)) return false;
    buffer_init(&list, (size_t)PARTS_MAX * 256 + 256);
    bool ok = send_parts(s3, name, id, body, &list, error) && complete(s3, name, id, &list, error);
    buffer_free(&list);
    if (!ok && !abort_upload(s3, name, id, &ignored)) log_warning("an upload stays half done for a day: %s", ignored.message);
    return ok;
}

/* ---- what was left behind ---- */

struct leftover {
    char name[BLOB_NAME_SIZE], id[S3_ID_SIZE];
    int64_t begun;
};

struct leftovers {
    struct s3 *s3;
    struct leftover now; /* that is being read */
    struct leftover *old;
    size_t count, capacity;
    int64_t before;
};

static bool keep_leftover(struct leftovers *all) {
    if (all->count == all->capacity) {
        size_t capacity = all->capacity ? all->capacity * 2 : 16;
        struct leftover *more = memory_resize(all->old, capacity * sizeof *more);
        if (!more) return false;
        all->old = more;
        all->capacity = capacity;
    }
    all->old[all->count++] = all->now;
    return true;
}

static bool on_upload(void *user, const char *path, const char *text) {
    struct leftovers *all = user;
    size_t prefix = strlen(all->s3->settings.prefix);
    if (strcmp(path, "Upload") == 0 && !text) {
        bool ours = s3_is_ours(all->now.name) && all->now.id[0] && all->now.begun > 0 && all->now.begun < all->before;
        bool ok = !ours || keep_leftover(all);
        all->now = (struct leftover){.begun = 0};
        return ok;
    }
    if (!text) return true;
    if (strcmp(path, "Upload/Key") == 0 && strncmp(text, all->s3->settings.prefix, prefix) == 0 && strlen(text + prefix) < BLOB_NAME_SIZE)
        snprintf(all->now.name, sizeof all->now.name, "%s", text + prefix);
    if (strcmp(path, "Upload/UploadId") == 0 && strlen(text) < S3_ID_SIZE) snprintf(all->now.id, sizeof all->now.id, "%s", text);
    if (strcmp(path, "Upload/Initiated") == 0 && !time_parse(text, &all->now.begun)) all->now.begun = 0;
    return true;
}

bool s3_clean_parts(struct s3 *s3, struct error *error) {
    struct leftovers all = {.s3 = s3, .before = time_wall() - (int64_t)LEFT_SECONDS * 1000000};
    struct buffer query;
    struct s3_answer answer = {.status = 0};
    char root[64];
    buffer_init(&query, 2048);
    bool ok = (buffer_text(&query, "prefix=") && s3_escape(&query, s3->settings.prefix) && buffer_text(&query, "&uploads=")) ||
              error_set(error, ERROR_MEMORY, "out of memory");
    const struct s3_request request = {.method = "GET", .query = query.data};
    ok = ok && s3_request(s3, &request, &answer, error);
    if (ok && (answer.text.length == 0 || !s3_xml_read(answer.text.data, answer.text.length, root, on_upload, &all)))
        ok = error_set(error, ERROR_IO, "S3 at %s lists uploads in a way that can't be read", s3->settings.endpoint);
    for (size_t i = 0; ok && i < all.count; i++) ok = abort_upload(s3, all.old[i].name, all.old[i].id, error);
    memory_free(all.old);
    s3_answer_free(&answer);
    buffer_free(&query);
    return ok;
}
