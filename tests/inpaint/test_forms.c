/* The same checkpoint in every form paints the same picture. */
#include "inpaint.h"
#include "weights/forms.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], single[128];

static void run(const char *format, ...) {
    char command[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    if (system(command) != 0) fail_msg("failed: %s", command);
}

/* A copy of the small checkpoint whose text encoder has one head: from shapes alone the number of
 * heads follows only if they are 64 wide, as all of CLIP's are. */
static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test_forms_XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(single, sizeof single, "%s/single", folder);
    run("cp -r %s %s/tiny && chmod -R u+w %s/tiny", FORMS_TINY, folder, folder);
    run("sed -i 's/\"num_attention_heads\": 4/\"num_attention_heads\": 1/' %s/tiny/text_encoder/config.json", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    run("rm -r %s", folder);
    return 0;
}

enum { SIDE = 64 };

static uint8_t *paint(const char *path) {
    static uint8_t photo[SIDE * SIDE * 3], white[SIDE * SIDE * 3];
    for (size_t i = 0; i < sizeof photo; i++) {
        photo[i] = (uint8_t)(i * 31 + i / 50);
        white[i] = i > sizeof white / 3 ? 255 : 0;
    }
    struct inpaint_error error;
    const inpaint_options options = {.dtype = INPAINT_DTYPE_F32, .threads = 2, .no_safety = true};
    const inpaint_image image = {SIDE, SIDE, 0, photo}, mask = {SIDE, SIDE, 0, white};
    inpaint_model *model = inpaint_open(path, &options, &error);
    if (!model) fail_msg("%s", error.message);
    inpaint_params params = INPAINT_PARAMS_DEFAULT;
    params.prompt = "a caf\u00e9 by the sea";
    params.steps = 3;
    params.seed = 5;
    inpaint_result *result = inpaint_paint(model, &image, &mask, &params, &error);
    if (!result) fail_msg("%s", error.message);
    uint8_t *pixels = malloc(sizeof photo);
    memcpy(pixels, result->images[0].pixels, sizeof photo);
    inpaint_result_free(result);
    inpaint_close(model);
    return pixels;
}

static void same_picture(const uint8_t *want, const char *path) {
    uint8_t *got = paint(path);
    assert_memory_equal(got, want, SIDE * SIDE * 3);
    free(got);
}

/* A component's weights as torch writes them, in place of its safetensors file. */
static void to_torch(const char *component, const char *stem, const char *file) {
    char path[256];
    struct form *form = memory_zero(sizeof *form);
    struct error error;
    snprintf(path, sizeof path, "%s/tiny/%s", folder, component);
    if (!weights_open_folder(path, stem, &form->components[0], &error)) fail_msg("%s", error.message);
    for (size_t i = 0; i < weights_count(form->components[0]); i++) {
        const char *name;
        const struct tensor *tensor = weights_at(form->components[0], i, &name);
        form_add(form, name, tensor);
    }
    snprintf(path, sizeof path, "%s/tiny/%s/%s", folder, component, file);
    form_write_torch(form, false, path);
    form_free(form);
    run("rm %s/tiny/%s/*.safetensors", folder, component);
}

static void every_form_paints_the_same(void **state) {
    (void)state;
    char tiny[128];
    snprintf(tiny, sizeof tiny, "%s/tiny", folder);
    uint8_t *want = paint(tiny), *original = paint(FORMS_TINY);
    assert_memory_not_equal(want, original, SIDE * SIDE * 3); /* or the comparison would be blind */
    free(original);
    struct form *form = form_original();
    form_write_safetensors(form, single);
    same_picture(want, single);
    form_write_torch(form, true, single);
    same_picture(want, single);
    form_free(form);
    to_torch("unet", "diffusion_pytorch_model", "diffusion_pytorch_model.fp16.bin");
    to_torch("vae", "diffusion_pytorch_model", "diffusion_pytorch_model.bin");
    to_torch("text_encoder", "model", "pytorch_model.bin");
    run("rm -r %s/tokenizer", tiny);
    same_picture(want, tiny);
    free(want);
}

static void a_single_file_needs_the_operators_word(void **state) {
    (void)state;
    struct inpaint_error error;
    struct form *form = form_original();
    form_write_safetensors(form, single);
    form_free(form);
    assert_null(inpaint_open(single, NULL, &error));
    assert_int_equal(error.code, INPAINT_UNSUPPORTED);
    assert_non_null(strstr(error.message, "no safety checker"));
    assert_non_null(strstr(error.message, "--no-safety"));
    const inpaint_options options = {.no_safety = true};
    inpaint_model *model = inpaint_open(single, &options, &error);
    assert_non_null(model);
    inpaint_info info;
    inpaint_describe(model, &info);
    assert_false(info.safety);
    assert_int_equal(info.sample_size, 512);
    inpaint_close(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_paints_the_same),
        cmocka_unit_test(a_single_file_needs_the_operators_word),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
