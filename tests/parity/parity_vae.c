/* The autoencoder both ways: mean and logvar (or, for Tiny, the latent), and the decoded picture. */
#include "engine.h"
#include "golden.h"
#include "model/vae.h"

static void compare(struct tally *tally, const struct weights *golden, const char *name, const char *leaf, const float *ours,
                    const char *folder) {
    struct tensor info;
    char label[128];
    float *planar = golden_floats(golden, name, leaf, &info), *expected = channels_last(planar, info.shape, 0, info.shape[1]);
    snprintf(label, sizeof label, "%s %s %s", folder, name, leaf);
    tally_error(tally, label, relative_l2(ours, expected, tensor_count(&info)), 1e-4);
    memory_free(planar);
    memory_free(expected);
}

static void check(struct tally *tally, struct vae *vae, const struct plan_options *options, const struct weights *golden, const char *name,
                  const char *folder) {
    struct tensor image_info, latent_info;
    float *planar_image = golden_floats(golden, name, "image", &image_info);
    float *planar_latent = golden_floats(golden, name, "latent", &latent_info);
    float *image = channels_last(planar_image, image_info.shape, 0, 3), *latent = channels_last(planar_latent, latent_info.shape, 0, 4);
    size_t h = image_info.shape[2], w = image_info.shape[3], latent_count = tensor_count(&latent_info);
    float *mean = memory_array(latent_count, sizeof *mean), *logvar = memory_array(latent_count, sizeof *logvar);
    float *decoded = memory_array(tensor_count(&image_info), sizeof *decoded);
    if (!mean || !logvar || !decoded) abort();
    struct error error;
    bool posterior = vae_has_posterior(vae);
    if (vae_encode(vae, options, image, h, w, 0, mean, logvar, &error) &&
        vae_decode(vae, options, latent, h / 8, w / 8, 0, decoded, &error)) {
        compare(tally, golden, name, posterior ? "mean" : "encoded", mean, folder);
        if (posterior) compare(tally, golden, name, "logvar", logvar, folder);
        compare(tally, golden, name, "decoded", decoded, folder);
    } else {
        tally_check(tally, name, false, error.message);
    }
    float *const blocks[] = {planar_image, planar_latent, image, latent, mean, logvar, decoded};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) memory_free(blocks[i]);
}

int main(void) {
    struct tally tally = {0};
    struct engine engine = engine_create(DTYPE_F32);
    for (size_t f = 0; f < GOLDEN_FOLDERS; f++) {
        char path[1024], name[64];
        struct vae *vae;
        struct error error;
        struct weights *golden = golden_open(golden_folders[f], "vae");
        if (!golden || !golden_checkpoint(golden_folders[f], "vae", path, sizeof path)) {
            weights_close(golden);
            continue;
        }
        if (!vae_open(path, &vae, &error)) return printf("FAILED  %s\n", error.message), 1;
        for (size_t i = 0; i < weights_count(golden); i++)
            if (golden_case(golden, i, "image", name)) check(&tally, vae, &engine.options, golden, name, golden_folders[f]);
        vae_close(vae);
        weights_close(golden);
    }
    engine_free(&engine);
    return tally_end(&tally);
}
