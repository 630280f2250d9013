/* The handler threads: they do what may block (store, disk, JSON of many megabytes) for requests
 * whose connections are suspended meanwhile. */
#ifndef SERVICE_HANDLERS_H
#define SERVICE_HANDLERS_H

#include "service/request.h"

struct handlers;

bool handlers_start(struct service *service, struct handlers **handlers, struct error *error);
/* Finishes what is queued, then ends the threads; what is submitted later is answered with 503. */
void handlers_stop(struct handlers *handlers);
void handlers_free(struct handlers *handlers); /* after the last submit; NULL is fine, as above */
/* Run `step` for the request on some handler thread, then resume its connection (unless it parked). */
void handlers_submit(struct handlers *handlers, struct request *request, request_step *step);

#endif
