#include "worker/models.h"

#include "base/log.h"
#include "base/memory.h"

#include <string.h>

/* One checkpoint; several names may mean it. */
struct slot {
    const char *path;
    inpaint_model *model; /* NULL: not open */
    uint64_t used;        /* counts up with each use */
    size_t bytes;         /* that it held when it was last looked at; kept when it is closed, as the best guess of what it will */
};

struct models {
    const struct worker_options *options;
    size_t budget;
    const char **names;
    struct slot *slots;
    size_t *slot_of; /* of each of the options' models */
    size_t slot_count;
    uint64_t uses;
    struct slot *last;
};

/* Packed weights, be they in memory or mapped, and what its plans work in. Plain weights are given back to
 * the system once they are packed. */
static size_t held(const inpaint_model *model) {
    inpaint_info info;
    inpaint_describe(model, &info);
    return info.packed_bytes + info.ready_bytes + info.working_bytes;
}

size_t models_bytes(const struct models *models) {
    size_t bytes = 0;
    for (size_t i = 0; i < models->slot_count; i++)
        if (models->slots[i].model) bytes += held(models->slots[i].model);
    return bytes;
}

static void close_slot(struct slot *slot) {
    slot->bytes = held(slot->model);
    log_info("the model %s is closed to make room (%.1f MB)", slot->path, (double)slot->bytes / 1e6);
    inpaint_close(slot->model);
    slot->model = NULL;
}

bool models_close_another(struct models *models) {
    struct slot *oldest = NULL;
    for (size_t i = 0; i < models->slot_count; i++) {
        struct slot *slot = &models->slots[i];
        if (slot->model && slot != models->last && (!oldest || slot->used < oldest->used)) oldest = slot;
    }
    if (oldest) close_slot(oldest);
    return oldest != NULL;
}

void models_settle(struct models *models) {
    while (models_bytes(models) > models->budget && models_close_another(models)) continue;
}

/* Of its weights once all are packed: as they are when a picture was painted; before that, what half precision
 * takes in the kernels' layouts, which is up to half as much again. */
static size_t expected_weights(const inpaint_model *model) {
    inpaint_info info;
    inpaint_describe(model, &info);
    size_t now = info.packed_bytes + info.ready_bytes;
    return info.working_bytes || info.ready_bytes ? now : info.weight_bytes + info.weight_bytes / 2;
}

size_t models_working_limit(const struct models *models) {
    size_t taken = expected_weights(models->last->model), least = models->budget / 4;
    for (size_t i = 0; i < models->slot_count; i++)
        if (models->slots[i].model && &models->slots[i] != models->last) taken += held(models->slots[i].model);
    /* A model that is larger than the budget is in use all the same: the machine will have to do. */
    return taken + least < models->budget ? models->budget - taken : least;
}

/* As much as the last time; before that, its weights. */
static size_t expected(const struct slot *slot) { return slot->bytes ? slot->bytes : expected_weights(slot->model); }

/* Opening only maps: what costs memory comes with the first picture, and room is made for it here. */
static bool open_slot(struct models *models, struct slot *slot, struct error *error) {
    struct inpaint_error reason = {.code = INPAINT_OK};
    slot->model = inpaint_open(slot->path, &models->options->engine, &reason);
    if (!slot->model) return error_set(error, (enum error_code)reason.code, "%s", reason.message);
    models->last = slot;
    size_t more = expected(slot), now = held(slot->model);
    more = more > now ? more - now : 0;
    while (models_bytes(models) + more > models->budget && models_close_another(models)) continue;
    log_info("the model %s is open", slot->path);
    return true;
}

static size_t find(const struct models *models, const char *name) {
    const struct worker_options *options = models->options;
    for (size_t i = 0; i < options->model_count; i++)
        if (options->models[i].name && strcmp(options->models[i].name, name) == 0) return models->slot_of[i];
    return models->names ? models->slot_count : 0;
}

inpaint_model *models_get(struct models *models, const char *name, struct error *error) {
    size_t index = find(models, name);
    if (index == models->slot_count) {
        error_set(error, ERROR_NOT_FOUND, "This worker has no model %s.", name);
        return NULL;
    }
    struct slot *slot = &models->slots[index];
    if (!slot->model && !open_slot(models, slot, error)) {
        error_context(error, "The model %s can't be opened", name);
        return NULL;
    }
    slot->used = ++models->uses;
    models->last = slot;
    return slot->model;
}

const char *const *models_names(const struct models *models) { return models->names; }

const char *models_loaded(const struct models *models) {
    for (size_t i = 0; models->names && i < models->options->model_count; i++)
        if (&models->slots[models->slot_of[i]] == models->last) return models->names[i];
    return NULL;
}

static void fill(struct models *models) {
    const struct worker_options *options = models->options;
    for (size_t i = 0; i < options->model_count; i++) {
        size_t slot = 0;
        while (slot < models->slot_count && strcmp(models->slots[slot].path, options->models[i].path) != 0) slot++;
        if (slot == models->slot_count) models->slots[models->slot_count++] = (struct slot){.path = options->models[i].path};
        models->slot_of[i] = slot;
        if (models->names) models->names[i] = options->models[i].name;
    }
}

bool models_create(const struct worker_options *options, size_t budget, struct models **out, struct error *error) {
    struct models *models = memory_zero(sizeof *models);
    size_t count = options->model_count;
    if (!models) return error_set(error, ERROR_MEMORY, "out of memory");
    models->options = options;
    models->budget = budget;
    models->slots = memory_array(count, sizeof *models->slots);
    models->slot_of = memory_array(count, sizeof *models->slot_of);
    bool named = options->models[0].name != NULL;
    if (named) models->names = memory_zero((count + 1) * sizeof *models->names);
    bool fine = (models->slots && models->slot_of && (!named || models->names)) || error_set(error, ERROR_MEMORY, "out of memory");
    if (fine) fill(models);
    fine = fine && open_slot(models, &models->slots[0], error);
    if (fine)
        *out = models;
    else
        models_free(models);
    return fine;
}

void models_free(struct models *models) {
    if (!models) return;
    for (size_t i = 0; i < models->slot_count; i++) inpaint_close(models->slots[i].model);
    memory_free(models->slots);
    memory_free(models->slot_of);
    memory_free(models->names);
    memory_free(models);
}
