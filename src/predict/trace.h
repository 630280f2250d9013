/* The trace that a prediction belongs to: W3C Trace Context's traceparent, "00-TRACE-SPAN-FLAGS" in
 * lower-case hex (https://www.w3.org/TR/trace-context/). A client may send one; it goes with the
 * prediction to logs and webhooks, so that all systems speak of the same thing. */
#ifndef PREDICT_TRACE_H
#define PREDICT_TRACE_H

#include "base/error.h"

enum { TRACE_SIZE = 56, TRACE_ID_SIZE = 33 };

/* Ours in the trace of the one that a client sent: the same trace, a new span. header NULL or malformed:
 * a new trace. */
bool trace_continue(const char *header, char trace[TRACE_SIZE], struct error *error);
/* The trace's own 32 digits; "" when `trace` is none. */
void trace_id(const char *trace, char id[TRACE_ID_SIZE]);

#endif
