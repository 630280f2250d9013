/* Delivery of webhooks: one thread that takes due rows from the store's outbox. */
#ifndef SERVICE_WEBHOOKS_H
#define SERVICE_WEBHOOKS_H

#include "service/state.h"
#include "service/webhook_sign.h"

struct webhooks;

bool webhooks_start(struct service *service, struct webhooks **webhooks, struct error *error);
/* Deliveries under way are broken off; their rows come up again when their lease ends. */
void webhooks_stop(struct webhooks *webhooks);
/* The secret that those of one owner ("": nobody's) are signed with. */
bool webhooks_secret(const struct webhooks *webhooks, const char *owner, char secret[WEBHOOK_SECRET_SIZE]);

/* May this URL be asked for? http or https with a host; https only, unless `any`. */
bool webhook_url_valid(const char *url, bool any);

#endif
