/* The UNet's prediction: each sample with its own prompt, mask and masked latent. f32 within 1e-4;
 * bf16 within 1.1e-2, just below what the original makes of the same weights in bf16 (twice that for
 * the tiny network, whose short sums average less of the rounding away). */
#include "engine.h"
#include "golden.h"
#include "model/unet.h"

static void check(struct tally *tally, const struct unet *unet, const struct plan_options *options, const struct weights *golden,
                  const char *name, const char *leaf, const char *label, double most) {
    struct tensor sample_info, info;
    float *sample = golden_floats(golden, name, "sample", &sample_info), *context = golden_floats(golden, name, "context", NULL);
    float *timestep = golden_floats(golden, name, "timestep", NULL), *planar = golden_floats(golden, name, leaf, &info);
    const size_t *shape = sample_info.shape;
    float *latent = channels_last(sample, shape, 0, 4), *mask = channels_last(sample, shape, 4, 1);
    float *masked = channels_last(sample, shape, 5, 4), *expected = channels_last(planar, info.shape, 0, 4);
    size_t n = shape[0], count = n * shape[2] * shape[3] * 4;
    float *ours = memory_array(count, sizeof *ours);
    if (!ours) abort();
    struct unet_size size = {.samples = n, .results = n, .contexts = n, .conditions = n, .h = shape[2], .w = shape[3], .steps = 3};
    struct unet_run *run;
    struct error error;
    if (unet_run_create(unet, options, &size, 0, &run, &error)) {
        int timesteps[3] = {7, (int)timestep[0], 501}; /* the others must not matter */
        unet_run_context(run, context);
        unet_run_timesteps(run, timesteps, 3);
        unet_run_condition(run, mask, masked);
        unet_run_step(run, 1, latent, ours);
        tally_error(tally, label, relative_l2(ours, expected, count), most);
        unet_run_free(run);
    } else {
        tally_check(tally, label, false, error.message);
    }
    float *const blocks[] = {sample, context, timestep, planar, latent, mask, masked, expected, ours};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) memory_free(blocks[i]);
}

static bool check_all(struct tally *tally, enum dtype compute) {
    struct engine engine = engine_create(compute);
    bool opened = true;
    for (size_t f = 0; f < GOLDEN_FOLDERS && opened; f++) {
        char path[1024], name[64], label[128];
        struct unet *unet;
        struct error error;
        struct weights *golden = golden_open(golden_folders[f], "unet");
        if (!golden || !golden_checkpoint(golden_folders[f], "unet", path, sizeof path)) {
            weights_close(golden);
            continue;
        }
        double most = compute == DTYPE_F32 ? 1e-4 : strcmp(golden_folders[f], "tiny") == 0 ? 2.2e-2 : 1.1e-2;
        opened = unet_open(path, &unet, &error);
        if (!opened) printf("FAILED  %s\n", error.message);
        for (size_t i = 0; opened && i < weights_count(golden); i++) {
            if (!golden_case(golden, i, "sample", name)) continue;
            snprintf(label, sizeof label, "%s %s %s", golden_folders[f], name, dtype_name(compute));
            check(tally, unet, &engine.options, golden, name, golden_find(golden, name, "v") ? "v" : "eps", label, most);
        }
        if (opened) unet_close(unet);
        weights_close(golden);
    }
    engine_free(&engine);
    return opened;
}

int main(void) {
    struct tally tally = {0};
    if (!check_all(&tally, DTYPE_F32) || !check_all(&tally, DTYPE_BF16)) return 1;
    return tally_end(&tally);
}
