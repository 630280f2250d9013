/* Blobs in the bucket that INPAINT_TEST_S3 names (s3_server.sh starts a server): a prefix of their own. */
#ifndef TESTS_STORE_S3_FIXTURE_H
#define TESTS_STORE_S3_FIXTURE_H

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline const char *test_s3(void) { return getenv("INPAINT_TEST_S3"); }

static inline void make_s3_url(char url[512]) {
    const char *given = test_s3(), *query = strchr(given, '?');
    unsigned char random[8] = {0};
    size_t length = query ? (size_t)(query - given) : strlen(given);
    random_bytes(random, sizeof random, NULL);
    snprintf(url, 512, "%.*s/%02x%02x%02x%02x%02x%02x%02x%02x%s", (int)length, given, random[0], random[1], random[2], random[3], random[4],
             random[5], random[6], random[7], query ? query : "");
}

#endif
