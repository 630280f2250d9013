#include "predict/prediction.h"

#include "base/file.h"
#include "base/memory.h"

#include <string.h>

static const char *const status_names[] = {
    [PREDICTION_STARTING] = "starting", [PREDICTION_PROCESSING] = "processing", [PREDICTION_SUCCEEDED] = "succeeded",
    [PREDICTION_FAILED] = "failed",     [PREDICTION_CANCELED] = "canceled",
};
enum { STATUSES = sizeof status_names / sizeof status_names[0] };

const char *prediction_status_name(enum prediction_status status) { return (unsigned)status < STATUSES ? status_names[status] : "unknown"; }

bool prediction_status_parse(const char *name, enum prediction_status *status) {
    for (unsigned i = 0; i < STATUSES; i++) {
        if (strcmp(name, status_names[i]) != 0) continue;
        *status = (enum prediction_status)i;
        return true;
    }
    return false;
}

bool prediction_status_terminal(enum prediction_status status) {
    return status == PREDICTION_SUCCEEDED || status == PREDICTION_FAILED || status == PREDICTION_CANCELED;
}

/* RFC 4648 base32 of 16 random bytes, in lower case and without padding. */
bool prediction_id_create(char id[PREDICTION_ID_LENGTH + 1], struct error *error) {
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[17] = {0}; /* one more: the last digit reads past the 16th by two bits */
    if (!random_bytes(bytes, 16, error)) return false;
    for (unsigned digit = 0; digit < PREDICTION_ID_LENGTH; digit++) {
        unsigned bit = digit * 5;
        unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
        id[digit] = alphabet[pair >> (11 - bit % 8) & 31];
    }
    id[PREDICTION_ID_LENGTH] = 0;
    return true;
}

void prediction_free(struct prediction *prediction) {
    memory_free(prediction->owner);
    memory_free(prediction->model);
    memory_free(prediction->version);
    json_decref(prediction->input);
    memory_free(prediction->logs);
    json_decref(prediction->output);
    memory_free(prediction->error);
    memory_free(prediction->webhook);
    memory_free(prediction->stream_token);
    memory_free(prediction->public_base);
    memset(prediction, 0, sizeof *prediction);
}
