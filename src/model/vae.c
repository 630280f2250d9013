#include "model/vae.h"

#include "base/memory.h"
#include "model/derive.h"
#include "model/vae_internal.h"

#include <string.h>

enum { KEPT = 2, LATENT_SIDE_MAX = 4096, FACTOR = 8 };

/* One direction at one size, ready to run. */
struct vae_plan {
    struct plan *plan; /* NULL: none */
    struct plan_options options;
    size_t h, w; /* of the latent */
    struct value in, out;
};

enum direction { ENCODE, DECODE };

struct vae {
    struct weights *weights;
    struct vae_config config;
    struct vae_plan kept[2][KEPT]; /* of each direction, last used first */
};

/* ==== Plans ==== */

static struct value record(struct network *network, const struct vae_config *config, enum direction direction, struct value in) {
    if (config->tiny) return direction == ENCODE ? vae_tiny_encode(network, config, in) : vae_tiny_decode(network, config, in);
    return direction == ENCODE ? vae_kl_encode(network, config, in) : vae_kl_decode(network, config, in);
}

/* Record for a size and, to `finish`, make it ready to run; else only see whether everything is there. */
static bool make_plan(const struct vae *vae, const struct plan_options *options, enum direction direction, size_t h, size_t w,
                      size_t memory_limit, bool finish, struct vae_plan *out, struct error *error) {
    struct network network = {.weights = vae->weights, .prefix = ""};
    struct vae_plan made = {.options = *options, .h = h, .w = w};
    if (!plan_create(options, &network.plan, error)) return false;
    made.in = direction == ENCODE ? plan_input(network.plan, 1, FACTOR * h, FACTOR * w, VAE_COLOURS)
                                  : plan_input(network.plan, 1, h, w, VAE_LATENT);
    made.out = record(&network, &vae->config, direction, made.in);
    plan_keep(network.plan, made.out);
    bool fine = finish ? network_finish(&network, made.out, memory_limit, error) : network_check(&network, made.out, error);
    if (fine && finish) {
        made.plan = network.plan;
        *out = made;
    } else {
        plan_free(network.plan);
    }
    return fine;
}

static bool serves(const struct vae_plan *kept, const struct plan_options *options, size_t h, size_t w, size_t memory_limit) {
    return kept->plan && kept->h == h && kept->w == w && kept->options.compute == options->compute && kept->options.pool == options->pool &&
           kept->options.packed == options->packed && (!memory_limit || plan_memory(kept->plan) <= memory_limit);
}

/* The plan for this size, kept or new, moved to the front; NULL on failure. */
static struct vae_plan *plan_for(struct vae *vae, const struct plan_options *options, enum direction direction, size_t h, size_t w,
                                 size_t memory_limit, struct error *error) {
    struct vae_plan *kept = vae->kept[direction], wanted;
    if (h < 1 || w < 1 || h > LATENT_SIDE_MAX || w > LATENT_SIDE_MAX) {
        error_set(error, ERROR_ARGUMENT, "a picture of %zux%zu pixels: sides from %d to %d are possible", FACTOR * w, FACTOR * h, FACTOR,
                  FACTOR * LATENT_SIDE_MAX);
        return NULL;
    }
    size_t place = 0;
    while (place < KEPT && !serves(&kept[place], options, h, w, memory_limit)) place++;
    if (place < KEPT) {
        wanted = kept[place];
    } else {
        /* Room first: two large plans at once may be more than there is. */
        place = KEPT - 1;
        plan_free(kept[place].plan);
        kept[place].plan = NULL;
        if (!make_plan(vae, options, direction, h, w, memory_limit, true, &wanted, error)) {
            error_context(error, "autoencoder");
            return NULL;
        }
    }
    memmove(kept + 1, kept, place * sizeof *kept);
    kept[0] = wanted;
    return kept;
}

void vae_forget(struct vae *vae) {
    for (int direction = ENCODE; direction <= DECODE; direction++) {
        for (size_t i = 0; i < KEPT; i++) {
            plan_free(vae->kept[direction][i].plan);
            vae->kept[direction][i].plan = NULL;
        }
    }
}

struct plan *vae_last_plan(const struct vae *vae, bool decoder) {
    return vae->kept[decoder ? DECODE : ENCODE][0].plan;
}

/* ==== Opening ==== */

/* Its config and its weights: from its folder, or from a single file that has all components. */
static bool open_source(const char *path, struct vae *vae, struct error *error) {
    json_t *root = NULL;
    bool single = weights_is_file(path);
    bool found = single
                     ? weights_open_part(path, WEIGHTS_VAE, &vae->weights, error) && (root = derive_vae_config(vae->weights, error)) != NULL
                     : config_open(path, "config.json", &root, error);
    bool read = found && vae_config_read(root, &vae->config, error);
    json_decref(root);
    return read && (single || weights_open_folder(path, "diffusion_pytorch_model", &vae->weights, error));
}

/* The same for a decoder alone, whose file may be a TAESD. */
static bool open_decoder_source(const char *path, struct vae *vae, struct error *error) {
    if (!weights_is_file(path)) return open_source(path, vae, error);
    json_t *root = NULL;
    bool read = weights_open_tiny_decoder(path, &vae->weights, error) && (root = derive_tiny_vae_config(vae->weights, error)) != NULL &&
                vae_config_read(root, &vae->config, error);
    json_decref(root);
    return read;
}

static bool check_plans(const struct vae *vae, bool encodes, struct error *error) {
    const struct plan_options options = {.compute = DTYPE_F32};
    return (!encodes || make_plan(vae, &options, ENCODE, 8, 8, 0, false, NULL, error)) &&
           make_plan(vae, &options, DECODE, 8, 8, 0, false, NULL, error);
}

static bool open_as(const char *path, bool encodes, struct vae **out, struct error *error) {
    struct vae *vae = memory_zero(sizeof *vae);
    if (!vae) return error_set(error, ERROR_MEMORY, "out of memory for the autoencoder");
    if (!(encodes ? open_source : open_decoder_source)(path, vae, error) || !check_plans(vae, encodes, error)) {
        vae_close(vae);
        return error_context(error, encodes ? "autoencoder" : "decoder");
    }
    *out = vae;
    return true;
}

bool vae_open(const char *path, struct vae **vae, struct error *error) { return open_as(path, true, vae, error); }
bool vae_open_decoder(const char *path, struct vae **vae, struct error *error) { return open_as(path, false, vae, error); }

void vae_close(struct vae *vae) {
    if (!vae) return;
    vae_forget(vae);
    weights_close(vae->weights);
    memory_free(vae);
}

float vae_scaling_factor(const struct vae *vae) { return (float)vae->config.scaling_factor; }
bool vae_has_posterior(const struct vae *vae) { return !vae->config.tiny; }
const struct weights *vae_weights(const struct vae *vae) { return vae->weights; }
size_t vae_bytes(const struct vae *vae) { return weights_bytes(vae->weights); }

size_t vae_working_bytes(const struct vae *vae) {
    size_t bytes = 0;
    for (int direction = ENCODE; direction <= DECODE; direction++)
        for (size_t i = 0; i < KEPT; i++)
            if (vae->kept[direction][i].plan) bytes += plan_memory(vae->kept[direction][i].plan);
    return bytes;
}

/* ==== Running ==== */

bool vae_encode(struct vae *vae, const struct plan_options *options, const float *image, size_t h, size_t w, size_t memory_limit,
                float *mean, float *logvar, struct error *error) {
    if (h % FACTOR != 0 || w % FACTOR != 0)
        return error_set(error, ERROR_ARGUMENT, "a picture of %zux%zu pixels can't be encoded: its sides must be multiples of %d", w, h,
                         FACTOR);
    struct vae_plan *ready = plan_for(vae, options, ENCODE, h / FACTOR, w / FACTOR, memory_limit, error);
    if (!ready) return false;
    memcpy(plan_data(ready->plan, ready->in), image, h * w * VAE_COLOURS * sizeof *image);
    plan_run(ready->plan, 0);
    const float *made = plan_data(ready->plan, ready->out);
    size_t positions = ready->h * ready->w, stride = vae->config.tiny ? VAE_LATENT : 2 * VAE_LATENT;
    for (size_t i = 0; i < positions; i++) {
        memcpy(mean + i * VAE_LATENT, made + i * stride, VAE_LATENT * sizeof *mean);
        if (logvar && !vae->config.tiny) memcpy(logvar + i * VAE_LATENT, made + i * stride + VAE_LATENT, VAE_LATENT * sizeof *logvar);
    }
    return true;
}

bool vae_decode(struct vae *vae, const struct plan_options *options, const float *latent, size_t h, size_t w, size_t memory_limit,
                float *image, struct error *error) {
    struct vae_plan *ready = plan_for(vae, options, DECODE, h, w, memory_limit, error);
    if (!ready) return false;
    memcpy(plan_data(ready->plan, ready->in), latent, h * w * VAE_LATENT * sizeof *latent);
    plan_run(ready->plan, 0);
    memcpy(image, plan_data(ready->plan, ready->out), FACTOR * h * FACTOR * w * VAE_COLOURS * sizeof *image);
    return true;
}
