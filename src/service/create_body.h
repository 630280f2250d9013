/* The body of a create: its own keys checked in gojsonschema's words; `input` is checked by
 * predict/input.h. */
#ifndef SERVICE_CREATE_BODY_H
#define SERVICE_CREATE_BODY_H

#include "predict/input.h"

struct create_body {
    const json_t *input;
    const char *version; /* as sent, or NULL */
    const char *webhook; /* or NULL */
    unsigned webhook_events;
    bool stream;
};

/* Pointers into `body`. version_required: not for a model's own predictions. private_webhooks: see
 * service.h. Returns how many problems there are. */
int create_body_read(const json_t *body, bool version_required, bool private_webhooks, struct create_body *create,
                     struct input_problem problems[INPUT_PROBLEMS_MAX]);

/* The problem document of contract 5.3: title "Input validation failed", detail, invalid_fields. */
json_t *problems_json(const struct input_problem *problems, int count);

/* The version ids that we answer to, newest first, NULL-terminated. */
extern const char *const version_ids[];
struct service_options;
/* A model and one of its versions. */
struct version_choice {
    const char *model, *version;
};
/* What "ID", "owner/name:ID" or "owner/name" means among all models; false when it is none of ours. NULL:
 * the default's newest. */
bool version_choose(const struct service_options *options, const char *version, struct version_choice *choice);
/* The newest version of the model "owner/name"; false when there is no such model. */
bool version_newest(const struct service_options *options, const char *model, struct version_choice *choice);

/* The id of the default model that "ID", "owner/name:ID" or "owner/name" means; NULL when it is none of ours. */
const char *version_resolve(const char *version, const char *model);

#endif
