/* The life of a prediction as one table: what may happen in which status, what comes of it, and
 * whom it is told. Every store writes what this says and nothing else. */
#ifndef PREDICT_TRANSITION_H
#define PREDICT_TRANSITION_H

#include "predict/prediction.h"

enum prediction_action {
    PREDICTION_CLAIM,   /* a worker takes it, or takes it over */
    PREDICTION_RELEASE, /* its worker gives it back undone */
    PREDICTION_LOG,     /* its worker adds to the logs */
    PREDICTION_PREVIEW, /* its worker shows how far it is */
    PREDICTION_SUCCEED,
    PREDICTION_FAIL,
    PREDICTION_CANCEL
};

struct prediction_transition {
    enum prediction_status status; /* after */
    unsigned told;                 /* WEBHOOK_... bits: the events that this causes, in that order */
};

/* started: it has been processing before, so that its start was told already. False: `action` can't
 * happen to a prediction in this status. */
bool prediction_transition(enum prediction_status from, bool started, enum prediction_action action,
                           struct prediction_transition *transition);

/* attempts that count: leases handed out less those given back. */
bool prediction_attempts_spent(int attempts);

#endif
