/* What stands in a request's head: Host, Prefer, Cancel-After, cursors, event ids, origins, traces, tokens,
 * encodings; and listen addresses and webhook URLs. The input is cut into lines; each goes to every reader, and what they accept must hold.
 */
#include "predict/trace.h"
#include "service/auth.h"
#include "service/cursor.h"
#include "service/gzip.h"
#include "service/origin.h"
#include "service/preference.h"
#include "service/sse.h"
#include "service/webhooks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_line(const char *line, const char *other) {
    char base[512], host[256], port[8];
    struct preference preference;
    struct cursor cursor;
    int64_t seconds;
    if (host_valid(line) && strpbrk(line, "\r\n \"<>/\\@%") != NULL) abort();
    host_is_ours(line, other);
    if (origin_base(NULL, other, line, "http", other, "127.0.0.1:1", base, sizeof base) && strpbrk(base, "\r\n \"<>") != NULL) abort();
    origin_same(line, "http://h:1/x", other);
    origin_allowed(other, line);
    if (listen_parse(line, host, sizeof host, port, sizeof port)) listen_is_loopback(host);
    preference_parse(line, 60, &preference);
    if (preference.seconds < 0 || preference.seconds > 60 || preference.wait != (preference.seconds > 0)) abort();
    if (cancel_after_parse(line, &seconds) && (seconds < 5 || seconds > 30 * 24 * 3600)) abort();
    if (sse_last_event_id(line) < -1) abort();
    const char *secret = auth_secret(line);
    if (secret != NULL && (*secret == 0 || secret < line || secret > line + strlen(line))) abort();
    gzip_accepted(line);
    char trace[TRACE_SIZE], trace_number[TRACE_ID_SIZE];
    if (!trace_continue(line, trace, NULL) || strlen(trace) != TRACE_SIZE - 1) abort();
    trace_id(line, trace_number);
    if (webhook_url_valid(line, false) && !webhook_url_valid(line, true)) abort();
    if (cursor_parse(line, &cursor)) {
        char text[CURSOR_TEXT_SIZE];
        struct cursor again;
        if (!cursor_format(&cursor, text) || !cursor_parse(text, &again) || again.created != cursor.created ||
            strcmp(again.id, cursor.id) != 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    const char *other = "h";
    if (text == NULL) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    for (char *line = text; line != NULL && line < text + size;) {
        char *end = strchr(line, '\n');
        if (end != NULL) *end = 0;
        read_line(line, other);
        other = line;
        line = end == NULL ? NULL : end + 1;
    }
    free(text);
    return 0;
}
