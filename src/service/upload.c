#include "service/upload.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "service/json_limits.h"
#include "service/multipart.h"

#include <nettle/md5.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { FIELD_BYTES_MAX = 64 * 1024 };
enum part_kind { PART_OTHER, PART_CONTENT, PART_METADATA, PART_FILENAME, PART_TYPE };

struct upload {
    struct service *service;
    struct multipart *multipart;
    struct blob_writer *writer;
    enum part_kind part;
    bool has_content, too_large, failed;
    struct error error;
    char *filename, *type;   /* of the content part */
    struct buffer fields[5]; /* by part kind */
    size_t size;
    struct md5_ctx md5;
    crypto_hash_sha256_state sha256;
    unsigned char head[16]; /* the file's first bytes, to tell what it is */
    size_t head_length;
};

static bool content_begin(struct upload *upload, const struct multipart_part *part) {
    if (upload->has_content) return false;
    upload->has_content = true;
    upload->filename = memory_string(part->filename);
    upload->type = memory_string(part->type);
    md5_init(&upload->md5);
    crypto_hash_sha256_init(&upload->sha256);
    upload->failed = !blob_begin(upload->service->blobs, ".bin", &upload->writer, &upload->error);
    return !upload->failed;
}

static bool on_begin(void *context, const struct multipart_part *part) {
    struct upload *upload = context;
    static const char *const names[] = {"", "content", "metadata", "filename", "type"};
    upload->part = PART_OTHER;
    for (enum part_kind kind = PART_CONTENT; kind <= PART_TYPE; kind++)
        if (strcmp(part->name, names[kind]) == 0) upload->part = kind;
    return upload->part != PART_CONTENT || content_begin(upload, part);
}

static bool on_data(void *context, const char *data, size_t length) {
    struct upload *upload = context;
    if (upload->part == PART_OTHER) return true;
    if (upload->part != PART_CONTENT) return buffer_append(&upload->fields[upload->part], data, length);
    if (length > FILE_BYTES_MAX - upload->size) {
        upload->too_large = true;
        return false;
    }
    if (upload->head_length < sizeof upload->head) {
        size_t some = sizeof upload->head - upload->head_length;
        if (some > length) some = length;
        memcpy(upload->head + upload->head_length, data, some);
        upload->head_length += some;
    }
    upload->size += length;
    md5_update(&upload->md5, length, (const uint8_t *)data);
    crypto_hash_sha256_update(&upload->sha256, (const unsigned char *)data, length);
    upload->failed = !blob_append(upload->writer, data, length, &upload->error);
    return !upload->failed;
}

static bool on_end(void *context) {
    (void)context;
    return true;
}

struct upload *upload_create(struct service *service, const char *content_type) {
    struct upload *upload = memory_zero(sizeof *upload);
    if (upload == NULL) return NULL;
    struct multipart_reader reader = {upload, on_begin, on_data, on_end};
    upload->service = service;
    for (size_t i = 0; i < 5; i++) buffer_init(&upload->fields[i], FIELD_BYTES_MAX);
    upload->multipart = multipart_create(content_type, &reader);
    if (upload->multipart != NULL) return upload;
    upload_free(upload);
    return NULL;
}

void upload_free(struct upload *upload) {
    if (upload == NULL) return;
    if (upload->writer != NULL) blob_abandon(upload->writer);
    multipart_free(upload->multipart);
    for (size_t i = 0; i < 5; i++) buffer_free(&upload->fields[i]);
    memory_free(upload->filename);
    memory_free(upload->type);
    memory_free(upload);
}

enum upload_state upload_data(struct upload *upload, const char *data, size_t length) {
    if (multipart_feed(upload->multipart, data, length)) return UPLOAD_GOING;
    return upload->too_large ? UPLOAD_TOO_LARGE : upload->failed ? UPLOAD_FAILED : UPLOAD_MALFORMED;
}

const struct error *upload_error(const struct upload *upload) { return &upload->error; }

/* ---- the end ---- */

static const char *sniffed_type(const struct upload *upload) {
    const unsigned char *head = upload->head;
    size_t length = upload->head_length;
    if (length >= 8 && memcmp(head, "\x89PNG\r\n\x1a\n", 8) == 0) return "image/png";
    if (length >= 3 && memcmp(head, "\xff\xd8\xff", 3) == 0) return "image/jpeg";
    if (length >= 12 && memcmp(head, "RIFF", 4) == 0 && memcmp(head + 8, "WEBP", 4) == 0) return "image/webp";
    return "application/octet-stream";
}

/* The last part of a path, as text of at most 255 bytes without control characters. */
static char *clean_name(const char *name) {
    if (name == NULL) return memory_string("file");
    const char *slash = strrchr(name, '/');
    if (slash != NULL) name = slash + 1;
    size_t length = strlen(name) > 255 ? utf8_cut(name, 255) : strlen(name);
    if (length == 0 || !utf8_valid(name, length)) return memory_string("file");
    char *copy = memory_string_n(name, length);
    for (char *byte = copy; byte != NULL && *byte != 0; byte++)
        if ((unsigned char)*byte < 0x20 || *byte == 0x7f) *byte = '_';
    return copy;
}

/* A media type that may stand in an answer's header later. */
static char *clean_type(const char *type, const char *otherwise) {
    size_t length = type == NULL ? 0 : strspn(type, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&^_.+-/;= ");
    bool fine = length > 0 && length < 128 && type[length] == 0 && strchr(type, '/') != NULL;
    return memory_string(fine ? type : otherwise);
}

static bool read_metadata(struct buffer *text, json_t **metadata, struct error *error) {
    char problem[256] = "";
    *metadata = text->length == 0 ? json_object() : json_parse_body(text->data, text->length, problem);
    if (*metadata == NULL && problem[0] == 0) return error_set(error, ERROR_MEMORY, "out of memory for the metadata");
    if (!json_is_object(*metadata)) {
        json_decref(*metadata);
        *metadata = NULL;
        return error_set(error, ERROR_FORMAT, "metadata must be a JSON object");
    }
    return true;
}

static const char *field(const struct upload *upload, enum part_kind kind) {
    const struct buffer *text = &upload->fields[kind];
    return text->length == 0 || memchr(text->data, 0, text->length) != NULL ? NULL : text->data;
}

bool upload_finish(struct upload *upload, struct stored_file *file, struct error *error) {
    char blob[101];
    uint8_t md5[MD5_DIGEST_SIZE], sha256[crypto_hash_sha256_BYTES];
    if (!multipart_complete(upload->multipart)) return error_set(error, ERROR_FORMAT, "the multipart body ends too early");
    if (!upload->has_content) return error_set(error, ERROR_FORMAT, "the multipart body has no part named \"content\"");
    if (!read_metadata(&upload->fields[PART_METADATA], &file->metadata, error)) return false;

    const char *name = field(upload, PART_FILENAME), *type = field(upload, PART_TYPE);
    file->name = clean_name(name != NULL ? name : upload->filename);
    file->content_type = clean_type(type != NULL ? type : upload->type, sniffed_type(upload));
    file->size = upload->size;
    md5_digest(&upload->md5, sizeof md5, md5);
    crypto_hash_sha256_final(&upload->sha256, sha256);
    sodium_bin2hex(file->md5, sizeof file->md5, md5, sizeof md5);
    sodium_bin2hex(file->sha256, sizeof file->sha256, sha256, sizeof sha256);

    struct blob_writer *writer = upload->writer;
    upload->writer = NULL;
    if (!blob_commit(writer, blob, error)) return false;
    file->blob = memory_string(blob);
    if (file->name == NULL || file->content_type == NULL || file->blob == NULL) return error_set(error, ERROR_MEMORY, "out of memory");
    return true;
}
