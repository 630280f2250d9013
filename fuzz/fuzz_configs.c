/* Any bytes as one of a checkpoint's configs (which, the first byte says): an error, or a config whose
 * layers can be listed. */
#include "model/clip.h"
#include "model/unet_internal.h"
#include "model/vae_internal.h"
#include "sample/sampler.h"

#include "memory_file.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_unet(const json_t *root) {
    static struct unet unet;
    struct error error;
    memset(&unet, 0, sizeof unet);
    if (!unet_config_read(root, &unet.config, &error)) return;
    unet_list_layers(&unet);
    if (unet.layer_count == 0 || unet.layer_count > UNET_LAYERS_MAX) abort();
}

static void read_vae(const json_t *root) {
    struct vae_config config;
    struct error error;
    if (vae_config_read(root, &config, &error) && !(config.scaling_factor > 0)) abort();
}

static void read_clip(const json_t *root) {
    struct clip clip;
    struct error error;
    if (clip_config(root, &clip, &error) && (clip.heads == 0 || clip.width % clip.heads != 0)) abort();
}

static void read_sampler(const char *path) {
    struct sampler_config config;
    struct sampler *sampler;
    struct error error;
    if (!sampler_config_read(path, &config, &error)) return;
    if (!sampler_create(&config, sampler_steps_most(&config) < 7 ? 1 : 7, 4, &sampler, &error)) abort();
    float x[4] = {0}, prediction[4] = {1, -1, 0.5f, 0};
    for (int i = 0; i < sampler_evaluations(sampler); i++) {
        sampler_step(sampler, i, prediction, x, NULL);
        sampler_noise(sampler, i);
    }
    sampler_free(sampler);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const readers[])(const json_t *root) = {read_unet, read_vae, read_clip};
    char path[MEMORY_PATH_SIZE];
    if (size == 0) return 0;
    int file = memory_file(data + 1, size - 1, path);
    unsigned which = data[0] % 4;
    json_t *root;
    struct error error;
    if (which == 3) {
        read_sampler(path);
    } else if (config_open(path, NULL, &root, &error)) {
        readers[which](root);
        json_decref(root);
    }
    close(file);
    return 0;
}
