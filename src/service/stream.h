/* One open SSE stream: text waiting to be sent, and what turns events into text. All functions here
 * are called with the hub locked. */
#ifndef SERVICE_STREAM_H
#define SERVICE_STREAM_H

#include "service/hub.h"

void stream_deliver(struct stream *stream, const struct event *event, const char *failure);
void stream_keep_alive(struct stream *stream);
void stream_end(struct stream *stream);

#endif
