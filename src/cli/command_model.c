/* inpaintd model: its verbs; and inspect, what a checkpoint (a folder or a single file) holds, and whether it can inpaint. */
#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/model_commands.h"
#include "cli/options.h"
#include "inpaint.h"
#include "library/hub.h"
#include "library/library.h"
#include "weights/weights.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *folder, *stem;
} components[] = {
    {"unet", "diffusion_pytorch_model"}, {"vae", "diffusion_pytorch_model"}, {"text_encoder", "model"}, {"safety_checker", "model"}};

enum { CONFIG_BYTES_MAX = 1 << 20 };

static void print_class(const char *folder) {
    char *path = file_join(folder, "config.json");
    char *text = NULL;
    size_t length;
    json_t *config = path && file_read(path, CONFIG_BYTES_MAX, &text, &length, NULL) ? json_loadb(text, length, 0, NULL) : NULL;
    memory_free(text);
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
    bool single = weights_is_file(path) && !archive_is(path);
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

/* PATH, or a pulled model's name. */
static int inspect_named(const char *name) {
    char *path = library_resolve(name);
    int code = path ? inspect(path) : 1;
    memory_free(path);
    return code;
}

static int wrong_words(const char *verb) {
    struct error error;
    error_set(&error, ERROR_ARGUMENT,
              "\"model %s\" is not complete, or there is no such thing; \"inpaintd model --help\" shows what there is", verb);
    return complain("model", &error);
}

static int dispatch(const char *const *words, size_t count, struct model_pull_settings *pull, struct model_convert_settings *convert) {
    const char *verb = words[0];
    if (count == 1 && strcmp(verb, "list") == 0) return model_list_command();
    if (count == 3 && strcmp(verb, "convert") == 0) {
        convert->from = words[1];
        convert->to = words[2];
        convert->quiet = pull->quiet;
        return model_convert_command(convert);
    }
    if (count != 2) return wrong_words(verb);
    pull->id = words[1];
    if (strcmp(verb, "pull") == 0) return model_pull_command(pull);
    if (strcmp(verb, "inspect") == 0) return inspect_named(words[1]);
    if (strcmp(verb, "verify") == 0) return model_verify_command(words[1]);
    if (strcmp(verb, "remove") == 0) return model_remove_command(words[1]);
    return wrong_words(verb);
}

int command_model(int argc, char **argv) {
    const char *words[3];
    struct model_pull_settings pull = {.connections = 4};
    struct model_convert_settings convert = {0};
    const struct option_row rows[] = {
        {"from", 0, OPTION_TEXT, "URL", "pull: a mirror of the Hub (default $HF_ENDPOINT, else " HUB_ENDPOINT ")", &pull.from, 0, 0, NULL},
        {"accept-license", 0, OPTION_TEXT, "NAME", "pull: accept this licence without being asked", &pull.accept_license, 0, 0, NULL},
        {"file", 0, OPTION_TEXT, "NAME", "pull: this single-file checkpoint of the repository", &pull.file, 0, 0, NULL},
        {"full", 0, OPTION_FLAG, NULL, "pull: weights as trained (f32), where half precision is there too", &pull.full, 0, 0, NULL},
        {"connections", 0, OPTION_INTEGER, "N", "pull: at once, 1 to 16 (default 4)", &pull.connections, 1, 16, NULL},
        {"size", 0, OPTION_TEXT, "WxH", "convert: the size that needs no packing (default: the model's own)", &convert.size, 0, 0, NULL},
        {"dtype", 0, OPTION_CHOICE, "auto|f32|bf16", "convert: arithmetic to pack for (default auto)", &convert.dtype, 0, 0, NULL},
        {"threads", 't', OPTION_INTEGER, "N", "convert: processors to use (default: all)", &convert.threads, 0, 256, NULL},
        {"no-safety", 0, OPTION_FLAG, NULL, "convert: leave the safety checker out, or accept that there is none", &convert.no_safety, 0, 0,
         NULL},
        {"quiet", 'q', OPTION_FLAG, NULL, "no progress", &pull.quiet, 0, 0, NULL},
        {0}};
    const struct command command = {
        "model",
        "Pull models from the Hub, look after them, and tell what a checkpoint holds.",
        "pull OWNER/NAME[@REVISION] | list | inspect MODEL | verify NAME | remove NAME | convert MODEL OUT.inpaint",
        "pull     receive what is needed of a model, check it, and put it into the models folder; say it again to go on where it stopped\n"
        "list     the models that were pulled\n"
        "inspect  what a checkpoint holds, and whether it can inpaint: a folder in diffusers' layout (.safetensors or .bin, f32, f16 or\n"
        "         bf16), or a single .safetensors or .ckpt file with the original names\n"
        "verify   compare a pulled model's files with the hashes that they were received under\n"
        "remove   a pulled model\n"
        "convert  into one packed file that holds the weights as this machine's kernels want them: starting with it packs nothing\n\n"
        "Models live in $INPAINT_MODELS (default ~/.local/share/inpaintd/models). Wherever --model is taken, a pulled model's name will "
        "do.\n"
        "HF_TOKEN, when set, is sent to the Hub's own host (for gated models).\n"
        "Exit codes: 0 fine, 3 it can't inpaint, can't be received, or is damaged, 130 stopped (what was received is kept).",
        "  inpaintd model pull stable-diffusion-v1-5/stable-diffusion-inpainting\n"
        "  inpaintd model pull botp/stable-diffusion-v1-5-inpainting --from https://hub.example --accept-license creativeml-openrail-m\n"
        "  inpaintd model list\n"
        "  inpaintd serve --model stable-diffusion-v1-5/stable-diffusion-inpainting\n"
        "  inpaintd model inspect models/bundled\n"
        "  inpaintd model convert stable-diffusion-v1-5/stable-diffusion-inpainting ~/inpainting.inpaint",
        rows,
        1,
        3};
    size_t count;
    int code = options_begin(&command, argc, argv, words, &count);
    return code >= 0 ? code : dispatch(words, count, &pull, &convert);
}
