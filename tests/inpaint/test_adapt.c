/* What is put on a checkpoint when it is opened: samplers that LoRAs bring, decoders, previews. */
#include "inpaint.h"

#include <math.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define REFERENCE SOURCE_DIR "/tests/reference/"
#define TINY      REFERENCE "tiny-checkpoint"

static char folder[64], lines[2048];

static void run(const char *format, ...) {
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0) fail_msg("failed: %s", command);
}

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_adapt_XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    run("rm -r %s", folder);
    return 0;
}

static void keep_line(void *user, const char *line) {
    (void)user;
    size_t used = strlen(lines);
    snprintf(lines + used, sizeof lines - used, "%s\n", line);
}

static inpaint_options options_with(const inpaint_lora *lora) {
    lines[0] = 0;
    return (inpaint_options){
        .dtype = INPAINT_DTYPE_F32, .threads = 1, .no_safety = true, .loras = lora, .lora_count = lora != NULL, .note = keep_line};
}

static inpaint_model *open_with(const inpaint_options *options, inpaint_info *info) {
    struct inpaint_error error;
    inpaint_model *model = inpaint_open(TINY, options, &error);
    if (!model) fail_msg("%s", error.message);
    inpaint_describe(model, info);
    return model;
}

static void loras_for_few_steps_bring_their_sampler(void **state) {
    (void)state;
    static const struct {
        const char *name, *sampler;
        int steps;
        double guidance;
    } cases[] = {
        {"lcm-lora-sdv1-5/pytorch_lora_weights.safetensors", "lcm", 4, 1},
        {"x/sd15_LCM_lora_8steps.safetensors", "lcm", 8, 1},
        {"x/Hyper-SD15-8steps-CFG-lora.safetensors", "ddim-trailing", 8, 5},
        {"x/Hyper-SD15-4steps-lora.safetensors", "ddim-trailing", 4, 1},
        {"x/Hyper-SD15-1step-lora.safetensors", "tcd", 1, 1},
        {"TCD-SD15-LoRA/pytorch_lora_weights.safetensors", "tcd", 4, 1},
        {"x/hyperrealistic.safetensors", "ddim", 0, 0},
        {"x/calcmanga-4steps.safetensors", "ddim", 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, cases[i].name);
        run("mkdir -p $(dirname %s) && cp %slora/peft.safetensors %s", path, REFERENCE, path);
        const inpaint_lora lora = {path, 1};
        inpaint_options options = options_with(&lora);
        inpaint_info info;
        inpaint_close(open_with(&options, &info));
        if (strcmp(info.sampler, cases[i].sampler) != 0) fail_msg("%s: %s", cases[i].name, info.sampler);
        assert_int_equal(info.steps, cases[i].steps);
        assert_true(info.steps == 0 || info.guidance == cases[i].guidance);
        assert_true((strstr(lines, "made for few steps") != NULL) == (info.steps > 0));
        options.sampler = INPAINT_SAMPLER_PNDM; /* the operator's word is the last */
        inpaint_close(open_with(&options, &info));
        assert_string_equal(info.sampler, "pndm");
    }
}

static void loras_are_told_of(void **state) {
    (void)state;
    inpaint_lora lora = {REFERENCE "lora/kohya.safetensors", 0.5};
    inpaint_options options = options_with(&lora);
    inpaint_info info;
    inpaint_close(open_with(&options, &info));
    assert_non_null(strstr(lines, "kohya.safetensors, weight 0.5: 204 layers changed"));
    assert_null(strstr(lines, "passed over"));
    struct inpaint_error error;
    /* Another model's, a file that is none, a weight that is none. */
    assert_null(inpaint_open(REFERENCE "sd2-checkpoint", &options, &error));
    assert_non_null(strstr(error.message, "made for another"));
    lora.path = TINY "/unet/diffusion_pytorch_model.safetensors";
    assert_null(inpaint_open(TINY, &options, &error));
    assert_non_null(strstr(error.message, "no LoRA"));
    lora.path = "/nonexistent/lora.safetensors";
    assert_null(inpaint_open(TINY, &options, &error));
    assert_int_equal(error.code, INPAINT_NOT_FOUND);
    lora = (inpaint_lora){REFERENCE "lora/kohya.safetensors", (double)NAN};
    assert_null(inpaint_open(TINY, &options, &error));
    assert_int_equal(error.code, INPAINT_ARGUMENT);
}

/* ==== Previews ==== */

enum { SIDE = 64 };
struct seen {
    int width, height, last;
    uint8_t pixels[SIDE * SIDE * 3];
};

static bool look(void *user, const inpaint_progress *now) {
    struct seen *seen = user;
    if (now->stage != INPAINT_STAGE_DENOISE || now->step == 0) return true;
    seen->width = now->preview_width;
    seen->height = now->preview_height;
    if (now->preview(now->preview_state, 0, seen->pixels)) seen->last = now->step;
    return true;
}

static void a_previewer_shows_the_picture_at_full_size(void **state) {
    (void)state;
    static uint8_t photo[SIDE * SIDE * 3], white[SIDE * SIDE * 3];
    memset(white, 255, sizeof white);
    for (size_t i = 0; i < sizeof photo; i++) photo[i] = (uint8_t)(i / 40);
    const inpaint_image image = {SIDE, SIDE, 0, photo}, mask = {SIDE, SIDE, 0, white};
    static struct seen seen;
    inpaint_options options = options_with(NULL);
    options.decoder = REFERENCE "taesd/taesd_decoder.safetensors";
    options.previewer = REFERENCE "taesd/vae";
    inpaint_info info;
    inpaint_model *model = open_with(&options, &info);
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.steps = 2;
    params.raw = true;
    params.callback = look;
    params.user = &seen;
    struct inpaint_error error;
    inpaint_result *result = inpaint_paint(model, &image, &mask, &params, &error);
    if (!result) fail_msg("%s", error.message);
    assert_int_equal(seen.width, SIDE);
    assert_int_equal(seen.height, SIDE);
    assert_int_equal(seen.last, 2);
    /* At the last step DDIM is all but at the clean latent, which the same decoder then decodes. */
    long difference = 0;
    for (size_t i = 0; i < sizeof photo; i++) difference += abs((int)seen.pixels[i] - (int)result->images[0].pixels[i]);
    assert_true((double)difference / sizeof photo < 4);
    inpaint_result_free(result);
    inpaint_close(model);
}

static void what_is_no_decoder_is_refused(void **state) {
    (void)state;
    struct inpaint_error error;
    inpaint_options options = options_with(NULL);
    options.decoder = REFERENCE "lora/kohya.safetensors";
    assert_null(inpaint_open(TINY, &options, &error));
    assert_non_null(strstr(error.message, "no decoder of a TAESD"));
    options.decoder = TINY "/unet";
    assert_null(inpaint_open(TINY, &options, &error));
    options.decoder = TINY "/vae"; /* any autoencoder of these latents will do */
    inpaint_model *model = inpaint_open(TINY, &options, &error);
    assert_non_null(model);
    inpaint_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loras_for_few_steps_bring_their_sampler),
        cmocka_unit_test(loras_are_told_of),
        cmocka_unit_test(a_previewer_shows_the_picture_at_full_size),
        cmocka_unit_test(what_is_no_decoder_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
