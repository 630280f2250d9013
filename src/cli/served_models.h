/* The models of serve and worker: what each --model means. */
#ifndef CLI_SERVED_MODELS_H
#define CLI_SERVED_MODELS_H

#include "base/sha256.h"
#include "base/time.h"
#include "cli/options.h"
#include "service/service.h"
#include "worker/worker.h"

#define PUBLISHED_MODEL "andreasjansson/stable-diffusion-inpainting"

struct served_model {
    char *name; /* "owner/name"; NULL, of the first: it has only the published name */
    char *path;
    char version[SHA256_TEXT], created[TIME_TEXT_SIZE];
};

struct served_models {
    struct served_model model[OPTION_TEXTS_MAX]; /* the first is the default, and answers to the published name too */
    size_t count;
    struct worker_model for_worker[OPTION_TEXTS_MAX + 1];
    size_t worker_count;
    struct service_model for_service[OPTION_TEXTS_MAX];
    size_t service_count;
};

/* given: as typed, each NAME=MODEL or MODEL; none: the default model. ERROR_ARGUMENT: a name twice. */
bool served_models_read(const struct option_texts *given, struct served_models *models, struct error *error);
/* Fill in for_service, too: what each is, so that it has a version. One that can't be looked at has one all the
 * same, and its predictions will say what is wrong with it. */
bool served_models_look(struct served_models *models, struct error *error);
void served_models_free(struct served_models *models);

#define MODEL_OPTION(target)                                                                                                               \
    {                                                                                                                                      \
        "model", 0, OPTION_TEXTS, "[NAME=]MODEL",                                                                                          \
            "a pulled model's name, a folder or a file (default: the bundled one); again: more of them, by NAME", target, 0, 0, NULL       \
    }
#define BUDGET_OPTION(target)                                                                                                              \
    {                                                                                                                                      \
        "memory-budget", 0, OPTION_INTEGER, "MB", "of each worker, for all its models (default 0: three quarters of the memory)", target,  \
            0, 1e9, NULL                                                                                                                   \
    }

#endif
