/* libmicrohttpd under the routes: sockets, phases, time limits, the access log. */
#ifndef SERVICE_SERVER_H
#define SERVICE_SERVER_H

#include "service/state.h"

struct server;

/* Takes over the listening socket. certificate, key: PEM text for https, or both NULL. metrics_only: for operators,
 * without tokens: probes and figures. */
bool server_start(struct service *service, int listener, bool metrics_only, const char *certificate, const char *key,
                  struct server **server, struct error *error);
/* Accept nothing more. */
void server_quiesce(struct server *server);
void server_stop(struct server *server);
/* Close connections that take too long over their headers or bodies. Call about once a second. */
void server_reap(struct server *server);

#endif
