/* What S3's failures mean: which pass by themselves, and sentences for those that do not. */
#include "base/time.h"
#include "store/blob_s3.h"

#include <stdlib.h>
#include <string.h>

static bool is_one_of(const char *code, const char *const *codes) {
    for (; *codes; codes++)
        if (strcmp(code, *codes) == 0) return true;
    return false;
}

static bool is_full(const struct s3_answer *answer) {
    static const char *const codes[] = {"XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded",
                                        NULL};
    return answer->status == 507 || is_one_of(answer->code, codes);
}

bool s3_is_passing(const struct s3_answer *answer) {
    static const char *const codes[] = {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted", NULL};
    switch (answer->failure) {
    case CURLE_OK:
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_OUT_OF_MEMORY:
        return false;
    default:
        return true;
    }
    if (is_full(answer)) return false;
    return answer->status == 0 || answer->status == 408 || answer->status == 429 || answer->status == 500 || answer->status == 502 ||
           answer->status == 503 || answer->status == 504 || is_one_of(answer->code, codes);
}

static bool explain_failure(const struct s3 *s3, const struct s3_answer *answer, struct error *error) {
    const char *endpoint = s3->settings.endpoint;
    switch (answer->failure) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return error_set(error, ERROR_IO, "the certificate of S3 at %s can't be trusted (AWS_CA_BUNDLE names a file of other authorities)",
                         endpoint);
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(error, ERROR_IO, "the file of certificates in AWS_CA_BUNDLE can't be read");
    case CURLE_OUT_OF_MEMORY:
        return error_set(error, ERROR_MEMORY, "out of memory for a request to S3");
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(error, ERROR_NETWORK, "S3 at %s does not answer in time", endpoint);
    default:
        return error_set(error, ERROR_NETWORK, "S3 at %s can't be reached: %s", endpoint, curl_easy_strerror(answer->failure));
    }
}

static bool explain_refusal(const struct s3 *s3, const struct s3_request *request, const struct s3_answer *answer, struct error *error) {
    const struct s3_settings *settings = &s3->settings;
    const char *code = answer->code, *endpoint = settings->endpoint;
    long long skew = answer->date ? (long long)(time_wall() - answer->date) / 1000000 : 0;
    if (strcmp(code, "RequestTimeTooSkewed") == 0 || (answer->status == 403 && llabs(skew) > 900))
        return error_set(error, ERROR_IO,
                         "this machine's clock is %lld seconds %s that of S3 at %s, which refuses requests for it: keep it by NTP",
                         llabs(skew), skew < 0 ? "behind" : "ahead of", endpoint);
    if (strcmp(code, "InvalidAccessKeyId") == 0)
        return error_set(error, ERROR_IO, "S3 at %s does not know the key in AWS_ACCESS_KEY_ID", endpoint);
    if (strcmp(code, "SignatureDoesNotMatch") == 0)
        return error_set(error, ERROR_IO, "S3 at %s refuses our signature: is AWS_SECRET_ACCESS_KEY right?", endpoint);
    if (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0)
        return error_set(error, ERROR_IO, "S3 at %s refuses AWS_SESSION_TOKEN, which may have run out", endpoint);
    if (answer->status == 301 || answer->status == 307 || strcmp(code, "AuthorizationHeaderMalformed") == 0)
        return error_set(error, ERROR_IO, "the bucket %s is not in the region %s%s%s: set AWS_REGION", settings->bucket, settings->region,
                         answer->region[0] ? " but in " : "", answer->region);
    if (answer->status == 401 || answer->status == 403)
        return error_set(error, ERROR_IO, "S3 at %s does not let this key %s in the bucket %s (%s)", endpoint, request->method,
                         settings->bucket, code[0] ? code : "no reason given");
    return error_set(error, ERROR_IO, "S3 at %s answers %s with status %ld (%s)", endpoint, request->method, answer->status,
                     code[0] ? code : "no reason given");
}

bool s3_explain(const struct s3 *s3, const struct s3_request *request, const struct s3_answer *answer, struct error *error) {
    const struct s3_settings *settings = &s3->settings;
    if (answer->own.code != ERROR_NONE) return error_set(error, answer->own.code, "%s", answer->own.message);
    if (answer->failure != CURLE_OK) return explain_failure(s3, answer, error);
    if (is_full(answer)) return error_set(error, ERROR_FULL, "there is no space left in S3 at %s", settings->endpoint);
    if (strcmp(answer->code, "NoSuchBucket") == 0)
        return error_set(error, ERROR_IO, "there is no bucket %s in S3 at %s", settings->bucket, settings->endpoint);
    if (answer->status == 404 && request->name &&
        (strcmp(answer->code, "NoSuchKey") == 0 || strcmp(answer->code, "NoSuchUpload") == 0 || strcmp(request->method, "HEAD") == 0))
        return error_set(error, ERROR_NOT_FOUND, "there is no such blob");
    if (s3_is_passing(answer))
        return error_set(error, ERROR_NETWORK, "S3 at %s is in trouble (status %ld %s)", settings->endpoint, answer->status, answer->code);
    return explain_refusal(s3, request, answer, error);
}
