/* Requests to S3 with their sums, tried again while that may help. */
#include "base/file.h"
#include "base/log.h"
#include "base/time.h"
#include "store/blob_s3.h"

#include <errno.h>
#include <nettle/base64.h>
#include <nettle/md5.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 8000000, FIRST_PAUSE = 100000, LONGEST_PAUSE = 2000000 };

bool s3_escape(struct buffer *buffer, const char *text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    bool ok = true;
    for (; ok && *text; text++) {
        if (strchr(plain, *text))
            ok = buffer_append(buffer, text, 1);
        else
            ok = buffer_format(buffer, "%%%02X", (unsigned char)*text);
    }
    return ok;
}

/* ---- sums ---- */

struct summing {
    struct md5_ctx md5;
    crypto_hash_sha256_state sha256;
};

static void sum(struct summing *summing, const void *data, size_t length) {
    md5_update(&summing->md5, length, data);
    crypto_hash_sha256_update(&summing->sha256, data, length);
}

static bool sum_file(struct summing *summing, const struct s3_body *body, struct error *error) {
    char piece[65536];
    for (size_t done = 0; done < body->length;) {
        size_t some = body->length - done < sizeof piece ? body->length - done : sizeof piece;
        ssize_t got = pread(body->descriptor, piece, some, (off_t)(body->offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return error_from_errno(error, "can't read what is to be stored");
        if (got == 0) return error_set(error, ERROR_IO, "what is to be stored is shorter than it was");
        sum(summing, piece, (size_t)got);
        done += (size_t)got;
    }
    return true;
}

static bool make_sums(const struct s3_body *body, struct s3_sums *sums, struct error *error) {
    struct summing summing;
    uint8_t md5[MD5_DIGEST_SIZE], sha256[crypto_hash_sha256_BYTES];
    md5_init(&summing.md5);
    crypto_hash_sha256_init(&summing.sha256);
    if (body && body->data)
        sum(&summing, body->data, body->length);
    else if (body && !sum_file(&summing, body, error))
        return false;
    md5_digest(&summing.md5, sizeof md5, md5);
    crypto_hash_sha256_final(&summing.sha256, sha256);
    sodium_bin2hex(sums->sha256, sizeof sums->sha256, sha256, sizeof sha256);
    sodium_bin2base64(sums->md5, sizeof sums->md5, md5, sizeof md5, sodium_base64_VARIANT_ORIGINAL);
    return true;
}

/* ---- trying ---- */

/* Half of it to all of it, so that many who wait do not come back together. */
static void rest(int64_t pause) {
    uint32_t random = 0;
    random_bytes(&random, sizeof random, NULL);
    time_sleep(pause / 2 + (int64_t)(random % (uint32_t)(pause / 2)));
}

/* What a broken attempt has written of the answer goes. */
static bool start_over(const struct s3_request *request, struct error *error) {
    if (!request->into_file || (ftruncate(request->descriptor, 0) == 0 && lseek(request->descriptor, 0, SEEK_SET) == 0)) return true;
    return error_from_errno(error, "can't keep a blob while it is read");
}

/* While S3 is away every call would wait in vain, one after the other: once one has, the next ones
 * try just once, until one gets through. */
bool s3_request(struct s3 *s3, const struct s3_request *request, struct s3_answer *answer, struct error *error) {
    struct s3_sums sums;
    *answer = (struct s3_answer){.status = 0};
    if (!make_sums(request->body, &sums, error)) return false;
    int64_t end = time_monotonic() + PATIENCE, pause = FIRST_PAUSE;
    for (;;) {
        bool impatient = atomic_load(&s3->down);
        if (!start_over(request, error)) return false;
        s3_exchange(s3, request, &sums, impatient, answer);
        if (answer->own.code != ERROR_NONE || !s3_is_passing(answer)) {
            atomic_store(&s3->down, false);
            break;
        }
        if (impatient || time_monotonic() + pause > end) {
            atomic_store(&s3->down, true);
            break;
        }
        log_debug("S3: %s is tried again (status %ld %s, %s)", request->method, answer->status, answer->code,
                  curl_easy_strerror(answer->failure));
        s3_answer_free(answer);
        rest(pause);
        pause = pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
    }
    if (answer->own.code == ERROR_NONE && answer->failure == CURLE_OK && answer->status >= 200 && answer->status < 300) return true;
    return s3_explain(s3, request, answer, error);
}
