/* inpaintd model inspect: what a checkpoint (a folder or a single file) holds, and whether it can inpaint. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "inpaint.h"
#include "weights/weights.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *folder, *stem;
} components[] = {
    {"unet", "diffusion_pytorch_model"}, {"vae", "diffusion_pytorch_model"}, {"text_encoder", "model"}, {"safety_checker", "model"}};

static void print_class(const char *folder) {
    char *path = file_join(folder, "config.json");
    json_t *config = path ? json_load_file(path, 0, NULL) : NULL;
    const char *name = json_string_value(json_object_get(config, "_class_name"));
    if (!name) name = json_string_value(json_array_get(json_object_get(config, "architectures"), 0));
    printf("%-24s", name ? name : config ? "(unnamed)" : "(no config.json)");
    json_decref(config);
    memory_free(path);
}

static void print_weights(const struct weights *weights) {
    size_t parameters = 0, by_dtype[DTYPE_BOOL + 1] = {0};
    for (size_t i = 0; i < weights_count(weights); i++) {
        const struct tensor *tensor = weights_at(weights, i, NULL);
        parameters += tensor_count(tensor);
        by_dtype[tensor->dtype] += tensor_count(tensor);
    }
    enum dtype most = DTYPE_F32;
    for (int dtype = 0; dtype <= DTYPE_BOOL; dtype++)
        if (by_dtype[dtype] > by_dtype[most]) most = (enum dtype)dtype;
    printf("%6zu tensors  %8.1f M parameters  %8.1f MB  %s\n", weights_count(weights), (double)parameters / 1e6,
           (double)weights_bytes(weights) / 1e6, dtype_name(most));
}

static void inspect_component(const char *root, const char *name, const char *stem) {
    char *folder = file_join(root, name);
    struct weights *weights;
    struct error error = {.code = ERROR_NONE};
    printf("  %-15s", name);
    if (!folder || !file_exists(folder)) {
        printf("none\n");
    } else {
        print_class(folder);
        if (weights_open_folder(folder, stem, &weights, &error)) {
            print_weights(weights);
            printf("  %-15s %s\n", "", weights_path(weights));
            weights_close(weights);
        } else {
            printf("%s\n", error.message);
        }
    }
    memory_free(folder);
}

/* False when the file is something else: what, is the last thing said. */
static bool inspect_file(const char *path) {
    static const char *const names[] = {[WEIGHTS_UNET] = "unet", [WEIGHTS_VAE] = "vae", [WEIGHTS_TEXT_ENCODER] = "text_encoder"};
    for (int part = WEIGHTS_UNET; part <= WEIGHTS_TEXT_ENCODER; part++) {
        struct weights *weights;
        struct error error = {.code = ERROR_NONE};
        if (!weights_open_part(path, (enum weights_part)part, &weights, &error)) {
            printf("can't inpaint: %s\n", error.message);
            return false;
        }
        printf("  %-15s%-24s", names[part], "(original names)");
        print_weights(weights);
        weights_close(weights);
    }
    printf("  %-15snone: a single file can't hold one\n", "safety_checker");
    printf("  %-15snone: CLIP's own will be used\n", "tokenizer");
    return true;
}

static int inspect(const char *path) {
    struct inpaint_error problem;
    bool single = weights_is_file(path);
    /* What a single file lacks is the operator's choice when it is used, not when it is looked at. */
    const inpaint_options options = {.no_safety = single};
    printf("%s\n", path);
    if (single && !inspect_file(path)) return 3;
    for (size_t i = 0; !single && i < sizeof components / sizeof *components; i++)
        inspect_component(path, components[i].folder, components[i].stem);
    inpaint_model *model = inpaint_open(path, &options, &problem);
    if (!model) {
        printf("can't inpaint: %s\n", problem.message);
        return 3;
    }
    inpaint_info info;
    inpaint_describe(model, &info);
    printf("can inpaint: %s, trained at %d x %d pixels, %s here\n", info.name, info.sample_size, info.sample_size, info.dtype);
    if (!info.safety) printf("has no safety checker: what it paints is not checked%s\n", single ? "; to use it say --no-safety" : "");
    inpaint_close(model);
    return 0;
}

int command_model(int argc, char **argv) {
    const char *words[2];
    const struct option_row rows[] = {{0}};
    const struct command command = {
        "model",
        "Tell what a checkpoint holds, and whether it can inpaint.",
        "inspect PATH",
        "PATH is a folder in diffusers' layout (.safetensors or .bin, f32, f16 or bf16), or a single .safetensors or .ckpt file\n"
        "with the original names.\n"
        "Exit codes: 0 it can inpaint, 3 it can't.",
        "  inpaintd model inspect models/bundled",
        rows,
        2,
        2};
    size_t count;
    int code = options_begin(&command, argc, argv, words, &count);
    if (code >= 0) return code;
    if (strcmp(words[0], "inspect") == 0) return inspect(words[1]);
    struct error error;
    error_set(&error, ERROR_ARGUMENT, "there is no \"model %s\"; say: inpaintd model inspect PATH", words[0]);
    return complain(command.name, &error);
}
