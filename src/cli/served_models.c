#include "cli/served_models.h"

#include "base/log.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "library/fingerprint.h"
#include "library/hub.h"
#include "library/library.h"

#include <stdio.h>
#include <string.h>

/* "owner/name" out of what stands before '=', or out of a path's last part; a word alone is of "local". NULL when
 * out of memory, or when there is nothing that could be a name. */
static char *make_name(const char *text, size_t length) {
    char *given = memory_string_n(text, length), *name = NULL;
    if (given && hub_valid_id(given)) return given;
    if (given && !strchr(given, '/')) name = memory_format("local/%s", given);
    memory_free(given);
    if (name && !hub_valid_id(name)) {
        memory_free(name);
        name = NULL;
    }
    return name;
}

/* models/night.inpaint is local/night. */
static char *name_of_path(const char *path) {
    size_t end = strlen(path), first;
    while (end > 1 && path[end - 1] == '/') end--;
    for (first = end; first > 0 && path[first - 1] != '/'; first--) continue;
    const char *dot = memchr(path + first, '.', end - first);
    return make_name(path + first, dot && dot > path + first ? (size_t)(dot - path) - first : end - first);
}

static bool read_one(const char *given, bool first, struct served_model *model, struct error *error) {
    const char *equals = strchr(given, '=');
    *model = (struct served_model){0};
    if (equals) model->name = make_name(given, (size_t)(equals - given));
    model->path = library_resolve(model->name ? equals + 1 : given);
    if (!model->path) return error_set(error, ERROR_MEMORY, "out of memory");
    if (!model->name && strcmp(model->path, given) != 0) model->name = memory_string(given); /* pulled: the Hub's name */
    if (!model->name && !first) model->name = name_of_path(given);
    if (first || model->name) return true;
    return error_set(error, ERROR_ARGUMENT, "--model %s needs a name by which it can be asked for: --model NAME=%s", given, given);
}

static bool check_name(const struct served_models *models, size_t index, struct error *error) {
    const char *name = models->model[index].name;
    if (!name) return true;
    if (strcmp(name, PUBLISHED_MODEL) == 0)
        return index == 0 || error_set(error, ERROR_ARGUMENT, "%s is always the first --model's name", name);
    for (size_t i = 0; i < index; i++)
        if (models->model[i].name && strcmp(models->model[i].name, name) == 0)
            return error_set(error, ERROR_ARGUMENT, "two models are called %s; say --model NAME=... with another name", name);
    return true;
}

bool served_models_read(const struct option_texts *given, struct served_models *models, struct error *error) {
    *models = (struct served_models){.count = 0};
    models->worker_count = 1;
    for (size_t i = 0; i < (given->count ? (size_t)given->count : 1); i++) {
        struct served_model *model = &models->model[i];
        bool read = read_one(given->count ? given->text[i] : default_model(), i == 0, model, error);
        models->count++;
        if (!read || !check_name(models, i, error)) return false;
        if (i == 0) models->for_worker[0] = (struct worker_model){PUBLISHED_MODEL, model->path};
        if (model->name && strcmp(model->name, PUBLISHED_MODEL) != 0)
            models->for_worker[models->worker_count++] = (struct worker_model){model->name, model->path};
    }
    return true;
}

static bool look(struct served_model *model, struct error *error) {
    struct error reason = {.code = ERROR_NONE};
    int64_t changed = 0;
    if (!library_fingerprint(model->path, model->version, &changed, &reason)) {
        unsigned char digest[SHA256_BYTES];
        char *text = memory_format("%s\n%s", model->name, model->path);
        if (!text) return error_set(error, ERROR_MEMORY, "out of memory");
        log_warning("the model %s can't be looked at, and its predictions will fail: %s", model->name, reason.message);
        sha256(text, strlen(text), digest);
        sha256_text(digest, model->version);
        memory_free(text);
    }
    time_text(changed, 6, model->created);
    return true;
}

bool served_models_look(struct served_models *models, struct error *error) {
    for (size_t i = 0; i < models->count; i++) {
        struct served_model *model = &models->model[i];
        if (!model->name || strcmp(model->name, PUBLISHED_MODEL) == 0) continue;
        if (!look(model, error)) return false;
        models->for_service[models->service_count++] = (struct service_model){model->name, model->version, model->created};
    }
    return true;
}

void served_models_free(struct served_models *models) {
    for (size_t i = 0; i < models->count; i++) {
        memory_free(models->model[i].name);
        memory_free(models->model[i].path);
    }
    models->count = 0;
}
