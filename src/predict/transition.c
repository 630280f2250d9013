#include "predict/transition.h"

bool prediction_transition(enum prediction_status from, bool started, enum prediction_action action,
                           struct prediction_transition *transition) {
    bool processing = from == PREDICTION_PROCESSING;
    if (prediction_status_terminal(from)) return false;
    switch (action) {
    case PREDICTION_CLAIM:
        *transition = (struct prediction_transition){PREDICTION_PROCESSING, started ? 0 : WEBHOOK_START};
        return true;
    case PREDICTION_RELEASE:
        *transition = (struct prediction_transition){PREDICTION_STARTING, 0};
        return processing;
    case PREDICTION_LOG:
        *transition = (struct prediction_transition){PREDICTION_PROCESSING, WEBHOOK_LOGS};
        return processing;
    case PREDICTION_PREVIEW:
        *transition = (struct prediction_transition){PREDICTION_PROCESSING, 0};
        return processing;
    case PREDICTION_SUCCEED:
        *transition = (struct prediction_transition){PREDICTION_SUCCEEDED, WEBHOOK_OUTPUT | WEBHOOK_COMPLETED};
        return processing;
    case PREDICTION_FAIL:
        *transition = (struct prediction_transition){PREDICTION_FAILED, WEBHOOK_COMPLETED};
        return processing;
    case PREDICTION_CANCEL:
        *transition = (struct prediction_transition){PREDICTION_CANCELED, WEBHOOK_COMPLETED};
        return true;
    }
    return false;
}

bool prediction_attempts_spent(int attempts) { return attempts >= ATTEMPTS_MAX; }
