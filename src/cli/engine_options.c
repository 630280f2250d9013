#include "cli/engine_options.h"

#include "base/file.h"
#include "base/memory.h"

#include <string.h>

/* FILE:0.8; a colon that is no weight's belongs to the file's name, and so does one in the name of a
 * file that is there. */
static bool parse_lora(const char *text, char **path, double *weight, struct error *error) {
    const char *colon = strrchr(text, ':');
    *weight = 1;
    bool weighs = colon && !file_exists(text) && text_to_number(colon + 1, -100, 100, weight);
    *path = memory_string_n(text, weighs ? (size_t)(colon - text) : strlen(text));
    if (!*path) return error_set(error, ERROR_MEMORY, "out of memory");
    if (file_exists(*path)) return true;
    return error_set(error, ERROR_NOT_FOUND, "there is no file %s; say --lora FILE or --lora FILE:WEIGHT, the weight from -100 to 100",
                     *path);
}

bool engine_options_use(struct engine_settings *settings, inpaint_options *options, struct error *error) {
    for (int i = 0; i < settings->loras.count; i++) {
        if (!parse_lora(settings->loras.text[i], &settings->paths[i], &settings->parsed[i].weight, error)) return false;
        settings->parsed[i].path = settings->paths[i];
    }
    options->loras = settings->parsed;
    options->lora_count = settings->loras.count;
    options->sampler = (inpaint_sampler)settings->sampler;
    options->decoder = settings->decoder;
    options->previewer = settings->previewer;
    return true;
}

void engine_options_free(struct engine_settings *settings) {
    for (int i = 0; i < OPTION_TEXTS_MAX; i++) {
        memory_free(settings->paths[i]);
        settings->paths[i] = NULL;
    }
}

void engine_options_pass(const struct engine_settings *settings, const char **arguments, size_t *count) {
    static const char *const samplers[] = {"auto", "ddim", "ddim-trailing", "pndm", "lcm", "tcd"};
    for (int i = 0; i < settings->loras.count; i++) {
        arguments[(*count)++] = "--lora";
        arguments[(*count)++] = settings->loras.text[i];
    }
    const char *const others[][2] = {{"--sampler", settings->sampler ? samplers[settings->sampler] : NULL},
                                     {"--decoder", settings->decoder},
                                     {"--previewer", settings->previewer}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (!others[i][1]) continue;
        arguments[(*count)++] = others[i][0];
        arguments[(*count)++] = others[i][1];
    }
}
