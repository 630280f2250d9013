/* The options that paint, serve and worker share about how a model is opened: LoRAs, sampler, decoders. */
#ifndef CLI_ENGINE_OPTIONS_H
#define CLI_ENGINE_OPTIONS_H

#include "cli/options.h"
#include "inpaint.h"

struct engine_settings {
    struct option_texts loras; /* FILE or FILE:WEIGHT */
    int sampler;               /* inpaint_sampler */
    const char *decoder, *previewer;
    /* What engine_options_use() made of the LoRAs. */
    inpaint_lora parsed[OPTION_TEXTS_MAX];
    char *paths[OPTION_TEXTS_MAX];
};

/* Rows for a command's table of options; settings: a struct engine_settings *. */
#define ENGINE_OPTIONS(settings)                                                                                                           \
    {"lora", 0, OPTION_TEXTS, "FILE[:WEIGHT]", "merge this LoRA, by this much (default 1); may be repeated", &(settings)->loras,           \
     0,      0, NULL},                                                                                                                     \
        {"sampler",                                                                                                                        \
         0,                                                                                                                                \
         OPTION_CHOICE,                                                                                                                    \
         "auto|ddim|ddim-trailing|pndm|lcm|tcd",                                                                                           \
         "default auto: what a LoRA brings, else the model's",                                                                             \
         &(settings)->sampler,                                                                                                             \
         0,                                                                                                                                \
         0,                                                                                                                                \
         NULL},                                                                                                                            \
        {"decoder", 0, OPTION_TEXT, "PATH", "decode pictures with this TAESD: faster, a little softer", &(settings)->decoder, 0, 0, NULL}, \
    {                                                                                                                                      \
        "previewer", 0, OPTION_TEXT, "PATH", "decode previews with this TAESD, at full size", &(settings)->previewer, 0, 0, NULL           \
    }

/* Into the engine's options, which point into `settings`. */
bool engine_options_use(struct engine_settings *settings, inpaint_options *options, struct error *error);
void engine_options_free(struct engine_settings *settings);

/* The same options as arguments for a worker, to arguments[*count ...]: at most ENGINE_ARGUMENTS_MAX. */
enum { ENGINE_ARGUMENTS_MAX = 2 * OPTION_TEXTS_MAX + 6 };
void engine_options_pass(const struct engine_settings *settings, const char **arguments, size_t *count);

#endif
