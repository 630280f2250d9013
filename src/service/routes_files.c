/* Uploaded files. */
#include "base/memory.h"
#include "base/time.h"
#include "service/auth.h"
#include "service/cursor.h"
#include "service/routes.h"
#include "service/space.h"
#include "service/upload.h"
#include "service/webhooks.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *time_json(int64_t wall) {
    char text[TIME_TEXT_SIZE];
    return wall == 0 ? json_null() : json_string(time_text(wall, 3, text));
}

static json_t *file_json(const struct request *request, const struct stored_file *file) {
    char url[700];
    snprintf(url, sizeof url, "%s/v1/files/%s", request->base, file->id);
    return json_pack("{s:s,s:s,s:s,s:I,s:s,s:{s:s,s:s},s:O,s:o,s:o,s:{s:s}}", "id", file->id, "name", file->name, "content_type",
                     file->content_type, "size", (json_int_t)file->size, "etag", file->md5, "checksums", "sha256", file->sha256, "md5",
                     file->md5, "metadata", file->metadata, "created_at", time_json(file->created), "expires_at", time_json(file->expires),
                     "urls", "get", url);
}

/* A random UUID's text in base64, as the hosted service has it: 48 letters and digits. */
static void file_id(char id[64]) {
    unsigned char bytes[16];
    char uuid[37];
    randombytes_buf(bytes, sizeof bytes);
    bytes[6] = (unsigned char)((bytes[6] & 0x0f) | 0x40);
    bytes[8] = (unsigned char)((bytes[8] & 0x3f) | 0x80);
    snprintf(uuid, sizeof uuid, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2],
             bytes[3], bytes[4], bytes[5], bytes[6], bytes[7], bytes[8], bytes[9], bytes[10], bytes[11], bytes[12], bytes[13], bytes[14],
             bytes[15]);
    sodium_bin2base64(id, 64, (const unsigned char *)uuid, 36, sodium_base64_VARIANT_ORIGINAL);
}

static bool answer_no_file(struct request *request, const struct error *error) {
    if (error->code != ERROR_NOT_FOUND) return answer_error(request, error);
    return answer_problem(request, 404, NULL, "File not found");
}

bool route_file_create(struct request *request) {
    if (!space_allows(request)) return true;
    struct stored_file file = {0};
    struct error error;
    int lifetime = request->service->options->file_seconds;
    if (!upload_finish(request->upload, &file, &error)) {
        if (error.code == ERROR_FORMAT)
            answer_problem(request, 400, "Bad request", "The upload is not usable: %s.", error.message);
        else
            answer_error(request, &error);
        stored_file_free(&file);
        return true;
    }
    file_id(file.id);
    file.owner = memory_string(request->owner);
    file.created = time_wall();
    file.created -= file.created % 1000;
    file.expires = lifetime == 0 ? 0 : file.created + (int64_t)lifetime * 1000000;
    if (file.owner == NULL || !store_file_create(request->service->writer, &file, &error)) {
        if (file.owner == NULL) error_set(&error, ERROR_MEMORY, "out of memory");
        /* Not known to be stored, but perhaps it is: only what surely is not goes at once. */
        bool used;
        if (store_blob_used(request->reader, file.blob, &used, NULL) && !used) blob_delete(request->service->blobs, file.blob, NULL);
        answer_error(request, &error);
    } else {
        answer_json(request, 201, file_json(request, &file));
    }
    stored_file_free(&file);
    return true;
}

bool route_file_get(struct request *request) {
    struct stored_file file;
    struct error error;
    if (!store_file_get(request->reader, request->parameters[0], request_owner(request), &file, &error))
        return answer_no_file(request, &error);
    answer_json(request, 200, file_json(request, &file));
    stored_file_free(&file);
    return true;
}

bool route_file_delete(struct request *request) {
    struct error error;
    if (!store_file_delete(request->service->writer, request->parameters[0], request_owner(request), &error))
        return answer_no_file(request, &error);
    return answer_empty(request, 204);
}

bool route_file_list(struct request *request) {
    struct cursor cursor = {0};
    struct stored_file *files;
    struct error error;
    size_t count;
    bool more;
    char *text = request_query(request, "cursor"), encoded[CURSOR_TEXT_SIZE], next[800];
    bool fine = text == NULL || text[0] == 0 || (cursor_parse(text, &cursor) && !cursor.ascending);
    memory_free(text);
    if (!fine) return answer_problem(request, 404, NULL, "Invalid cursor");
    if (!store_file_list(request->reader, request_owner(request), cursor.created, cursor.id, PAGE_SIZE, &files, &count, &more, &error))
        return answer_error(request, &error);
    json_t *results = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(results, file_json(request, &files[i]));
    json_t *link = NULL;
    if (more && count > 0) {
        struct cursor last = {.created = files[count - 1].created};
        snprintf(last.id, sizeof last.id, "%s", files[count - 1].id);
        snprintf(next, sizeof next, "%s/v1/files?cursor=%s", request->base, cursor_format(&last, encoded) ? encoded : "");
        link = json_string(next);
    }
    stored_files_free(files, count);
    return answer_json(request, 200, json_pack("{s:o,s:n,s:o}", "next", link == NULL ? json_null() : link, "previous", "results", results));
}

/* The signature of a download link: HMAC over "OWNER ID EXPIRY" with the webhook secret of `signer`. */
static bool signature_fits(struct request *request, const char *signer, const char *owner, const char *expiry, const char *signature) {
    char secret[WEBHOOK_SECRET_SIZE], expected[WEBHOOK_SIGNATURE_SIZE];
    const char *pieces[] = {owner, " ", request->parameters[0], " ", expiry};
    if (!webhooks_secret(request->service->webhooks, signer, secret) || !webhook_hmac(secret, pieces, 5, expected) ||
        strlen(signature) != strlen(expected))
        return false;
    return sodium_memcmp(signature, expected, strlen(expected)) == 0;
}

/* A signed link opens its signer's own files only; without tokens all files are one owner's. */
static bool link_fits(struct request *request, const char *owner, const char *expiry, const char *signature) {
    if (owner == NULL || expiry == NULL || signature == NULL || strtoll(expiry, NULL, 10) <= time_wall() / 1000000) return false;
    if (owner[0] != 0 && strlen(owner) < sizeof request->owner && signature_fits(request, owner, owner, expiry, signature)) {
        snprintf(request->owner, sizeof request->owner, "%s", owner);
        request->has_owner = true;
        return true;
    }
    char nobody[64];
    return auth_check(request->service->auth, NULL, nobody) == AUTH_OPEN && signature_fits(request, "", owner, expiry, signature);
}

/* A '+' of base64 that was not escaped arrives as a space. */
static void restore_plus(char *text) {
    for (; text != NULL && *text != 0; text++)
        if (*text == ' ') *text = '+';
}

static bool may_download(struct request *request) {
    char *owner = request_query(request, "owner"), *expiry = request_query(request, "expiry"),
         *signature = request_query(request, "signature");
    restore_plus(signature);
    bool fine = link_fits(request, owner, expiry, signature);
    if (owner == NULL && expiry == NULL && signature == NULL) {
        enum auth_result result = auth_check(request->service->auth, request_header(request, "Authorization"), request->owner);
        request->has_owner = result == AUTH_FINE;
        fine = result == AUTH_FINE || result == AUTH_OPEN;
    }
    memory_free(owner);
    memory_free(expiry);
    memory_free(signature);
    return fine;
}

bool route_file_download(struct request *request) {
    struct stored_file file;
    struct error error;
    if (!may_download(request)) {
        answer_problem(request, 401, "Unauthenticated", "A download needs a token, or a link with a valid signature that has not expired.");
        answer_header(request, "WWW-Authenticate", "Bearer");
        return true;
    }
    if (!store_file_get(request->reader, request->parameters[0], request_owner(request), &file, &error))
        return answer_no_file(request, &error);
    answer_blob(request, file.blob, file.content_type, "private, no-store");
    stored_file_free(&file);
    return true;
}
