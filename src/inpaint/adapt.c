#include "inpaint/adapt.h"

#include "base/memory.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LORAS_MAX = 64, LINE_SIZE = 512, NAME_SIZE = 256 };

static void note(const inpaint_options *options, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(const inpaint_options *options, const char *format, ...) {
    char line[LINE_SIZE];
    if (!options->note) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    options->note(options->note_user, line);
}

/* ==== Samplers ==== */

static const struct {
    const char *name;
    enum sampler_kind kind;
    bool trailing;
} samplers[] = {
    [INPAINT_SAMPLER_DDIM] = {"ddim", SAMPLER_DDIM, false}, [INPAINT_SAMPLER_DDIM_TRAILING] = {"ddim-trailing", SAMPLER_DDIM, true},
    [INPAINT_SAMPLER_PNDM] = {"pndm", SAMPLER_PNDM, false}, [INPAINT_SAMPLER_LCM] = {"lcm", SAMPLER_LCM, false},
    [INPAINT_SAMPLER_TCD] = {"tcd", SAMPLER_TCD, false},
};
enum { SAMPLERS = sizeof samplers / sizeof *samplers };

const char *adapt_sampler_name(const struct sampler_config *sampler) {
    for (size_t i = 1; i < SAMPLERS; i++)
        if (samplers[i].kind == sampler->kind && samplers[i].trailing == sampler->trailing) return samplers[i].name;
    return "ddim";
}

/* The noise schedule and what the network predicts stay the checkpoint's. */
static void use_sampler(struct inpaint_model *model, inpaint_sampler sampler) {
    model->sampler.kind = samplers[sampler].kind;
    model->sampler.trailing = samplers[sampler].trailing;
}

/* ==== LoRAs that were made for few steps ==== */

/* The tensors do not tell; the names that these files go by do. */
static const struct {
    const char *word;
    inpaint_sampler sampler;
    int steps;
    double guidance; /* 1: none */
} few_steps[] = {
    {"lcm", INPAINT_SAMPLER_LCM, 4, 1},
    {"hyper-sd", INPAINT_SAMPLER_DDIM_TRAILING, 8, 1},
    {"hyper_sd", INPAINT_SAMPLER_DDIM_TRAILING, 8, 1},
    {"hypersd", INPAINT_SAMPLER_DDIM_TRAILING, 8, 1},
    {"tcd", INPAINT_SAMPLER_TCD, 4, 1},
};

/* The file's name and its folder's, in small letters. */
static void short_name(const char *path, char name[NAME_SIZE]) {
    size_t end = strlen(path), slashes = 0, begin;
    while (end > 1 && path[end - 1] == '/') end--;
    for (begin = end; begin > 0; begin--)
        if (path[begin - 1] == '/' && ++slashes == 2) break;
    if (end - begin >= NAME_SIZE) begin = end - NAME_SIZE + 1;
    size_t length = end - begin;
    for (size_t i = 0; i < length; i++) name[i] = (char)tolower((unsigned char)path[begin + i]);
    name[length] = 0;
}

/* The word, not as a part of a longer one; it may be followed by anything when it is not letters alone. */
static bool has_word(const char *text, const char *word) {
    size_t length = strlen(word);
    bool strict = length <= 3;
    for (const char *at = strstr(text, word); at; at = strstr(at + 1, word)) {
        bool begins = at == text || !isalpha((unsigned char)at[-1]), ends = !isalpha((unsigned char)at[length]);
        if (begins && (ends || !strict)) return true;
    }
    return false;
}

/* "8step" or "8-steps" in the name: the steps that it was distilled to. */
static int steps_in(const char *name, int otherwise) {
    const char *end = strstr(name, "step");
    while (end && end > name && (end[-1] == '-' || end[-1] == '_')) end--;
    int steps = 0, digit = 1;
    for (const char *at = end; at && at > name && isdigit((unsigned char)at[-1]) && digit <= 100; at--, digit *= 10)
        steps += digit * (at[-1] - '0');
    return steps >= 1 && steps <= 50 ? steps : otherwise;
}

/* Whether the LoRA is one for few steps; then the model samples as it wants, unless told otherwise. */
static void heed_few_steps(struct inpaint_model *model, const inpaint_options *options, const char *path) {
    char name[NAME_SIZE];
    short_name(path, name);
    for (size_t i = 0; i < sizeof few_steps / sizeof *few_steps; i++) {
        if (!has_word(name, few_steps[i].word)) continue;
        int steps = steps_in(name, few_steps[i].steps);
        bool one = few_steps[i].sampler == INPAINT_SAMPLER_DDIM_TRAILING && steps == 1;
        inpaint_sampler sampler = one ? INPAINT_SAMPLER_TCD : few_steps[i].sampler; /* as its authors say */
        model->few_steps = steps;
        model->few_guidance = strstr(name, "cfg") ? 5 : few_steps[i].guidance;
        if (options->sampler == INPAINT_SAMPLER_AUTO) use_sampler(model, sampler);
        note(options, "%s is by its name made for few steps: sampler %s%s; it wants %d steps and guidance %g", name, samplers[sampler].name,
             options->sampler == INPAINT_SAMPLER_AUTO ? "" : " would fit, but another was asked for", steps, model->few_guidance);
        return;
    }
}

/* ==== LoRAs ==== */

static bool merge_lora(struct inpaint_model *model, const inpaint_options *options, const inpaint_lora *wanted, struct error *error) {
    if (!wanted->path || !(fabs(wanted->weight) <= 100))
        return error_set(error, ERROR_ARGUMENT, "a LoRA needs a file and a weight from -100 to 100");
    struct lora *lora;
    struct lora_report report;
    if (!lora_open(wanted->path, &lora, error)) return error_context(error, "LoRA");
    bool fine = unet_merge(model->unet, lora, wanted->weight, model->pool, error) &&
                text_encoder_merge(model->text_encoder, lora, wanted->weight, model->pool, error);
    lora_report(lora, &report);
    if (fine && report.merged == 0)
        fine =
            error_set(error, ERROR_UNSUPPORTED, "%s: the checkpoint has none of its layers (the first is %.100s): made for another model",
                      wanted->path, report.first_left ? report.first_left : "nameless");
    if (fine) {
        note(options, "LoRA %s, weight %g: %zu layers changed", wanted->path, wanted->weight, report.merged);
        if (report.left > 0)
            note(options, "LoRA %s: %zu of its tensors or layers are not known here and were passed over, the first %.100s", wanted->path,
                 report.left, report.first_left);
        heed_few_steps(model, options, wanted->path);
    }
    lora_close(lora);
    return fine || error_context(error, "LoRA");
}

/* ==== All ==== */

static bool open_decoders(struct inpaint_model *model, const inpaint_options *options, struct error *error) {
    if (options->decoder && !vae_open_decoder(options->decoder, &model->decoder, error)) return false;
    if (options->decoder) note(options, "pictures are decoded by %s", options->decoder);
    return !options->previewer || vae_open_decoder(options->previewer, &model->previewer, error);
}

bool adapt_model(struct inpaint_model *model, const inpaint_options *options, struct error *error) {
    if (options->lora_count < 0 || options->lora_count > LORAS_MAX)
        return error_set(error, ERROR_ARGUMENT, "%d LoRAs: %d are the most", options->lora_count, LORAS_MAX);
    if (options->sampler < INPAINT_SAMPLER_AUTO || options->sampler > INPAINT_SAMPLER_TCD)
        return error_set(error, ERROR_ARGUMENT, "there is no sampler %d", (int)options->sampler);
    for (int i = 0; i < options->lora_count; i++)
        if (!merge_lora(model, options, &options->loras[i], error)) return false;
    if (options->sampler != INPAINT_SAMPLER_AUTO) use_sampler(model, options->sampler);
    return open_decoders(model, options, error);
}
