/* Blobs in S3: what its files share. The names of objects are PREFIX/NAME in one bucket, addressed by path
 * (ENDPOINT/BUCKET/PREFIX/NAME), which every server of S3's protocol understands.
 *
 * Everything that a server answers is checked here: sizes, names, XML, times. */
#ifndef STORE_BLOB_S3_H
#define STORE_BLOB_S3_H

#include "base/buffer.h"
#include "store/blob_backend.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>

enum { S3_IDLE_CONNECTIONS = 8, S3_CODE_SIZE = 65, S3_TAG_SIZE = 129, S3_ID_SIZE = 1025 };
#define S3_OBJECT_BYTES_MAX ((size_t)1 << 30) /* nothing that we store comes near */

/* ---- where and who (blob_s3_settings.c) ---- */

struct s3_settings {
    char *endpoint; /* "https://host:port" */
    char *bucket;
    char *prefix; /* "" or "some/where/" */
    char *region, *key, *secret;
    char *session;     /* session token, or NULL */
    char *authorities; /* a file of certificates in place of the system's, or NULL */
};

/* From s3://BUCKET/PREFIX?endpoint=URL&region=NAME and the environment. */
bool s3_settings_read(const char *url, struct s3_settings *settings, struct error *error);
void s3_settings_free(struct s3_settings *settings);

struct s3 {
    struct blobs base;
    struct s3_settings settings;
    char signature[96]; /* for CURLOPT_AWS_SIGV4 */
    pthread_mutex_t lock;
    CURL *idle[S3_IDLE_CONNECTIONS]; /* under lock */
    size_t idle_count;               /* under lock */
    atomic_bool down;                /* the last call waited in vain: the next ones do not */
};

/* ---- one request, tried until its patience ends (blob_s3_request.c, blob_s3_exchange.c) ---- */

struct s3_body { /* bytes in memory, or `length` bytes at `offset` of a file when data is NULL */
    const void *data;
    int descriptor;
    uint64_t offset;
    size_t length;
};

struct s3_request {
    const char *method;
    const char *name;           /* the object's, or NULL: the bucket */
    const char *query;          /* sorted and escaped as a signature wants it (see s3_escape), or NULL */
    const struct s3_body *body; /* or NULL */
    bool into_file;             /* a good answer's bytes go to `descriptor`, at most `maximum` of them */
    int descriptor;
    size_t maximum;
    bool slow; /* the server may think for minutes */
};

struct s3_answer {
    long status;             /* of HTTP; 0: there was none */
    CURLcode failure;        /* why not */
    struct error own;        /* something on this side failed: nothing to try again */
    struct buffer text;      /* the body, when it did not go to a file */
    size_t length;           /* of what went to the file */
    int64_t modified, date;  /* Last-Modified, Date (wall); 0: not told */
    char tag[S3_TAG_SIZE];   /* ETag, with its quotes; "" if there is none or it is odd */
    char region[64];         /* where the bucket says it is, or "" */
    char code[S3_CODE_SIZE]; /* of an error's document, or "" */
};

/* What goes with the body to the server: both sums are checked there. */
struct s3_sums {
    char sha256[65], md5[25]; /* hex, base64 */
};

/* One attempt. The answer tells everything; free it. */
void s3_exchange(struct s3 *s3, const struct s3_request *request, const struct s3_sums *sums, bool impatient, struct s3_answer *answer);
/* Attempts with pauses until the answer is final or patience ends. True: a status of 2xx. */
bool s3_request(struct s3 *s3, const struct s3_request *request, struct s3_answer *answer, struct error *error);
void s3_answer_free(struct s3_answer *answer);

/* Is it worth another try? (blob_s3_errors.c) */
bool s3_is_passing(const struct s3_answer *answer);
/* A sentence for what went wrong; returns false. */
bool s3_explain(const struct s3 *s3, const struct s3_request *request, const struct s3_answer *answer, struct error *error);

/* Append with everything but letters, digits and "-._~" as %XX. */
bool s3_escape(struct buffer *buffer, const char *text);

/* ---- documents (blob_s3_xml.c) ---- */

/* `path` below the root, "Contents/Key": its text; or, at the end of an element with children, NULL.
 * False stops with a failure. */
typedef bool s3_xml_visit(void *user, const char *path, const char *text);
/* Read a whole document; root receives its outermost name. False when it is none, has a DTD, or is
 * deeper or longer in names and texts than any of S3's. */
bool s3_xml_read(const char *text, size_t length, char root[64], s3_xml_visit *visit, void *user);

/* ---- big files (blob_s3_multipart.c) ---- */

bool s3_put_in_parts(struct s3 *s3, const char *name, const struct s3_body *body, struct error *error);
/* Abort what a crash left half uploaded a day ago or earlier. */
bool s3_clean_parts(struct s3 *s3, struct error *error);

/* Could it be a blob of ours? Stricter than blob_name_valid(): the bucket may hold others' things. */
bool s3_is_ours(const char *name);

#endif
