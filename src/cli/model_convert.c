/* inpaintd model convert: a checkpoint into one packed file. */
#include "base/memory.h"
#include "base/time.h"
#include "cli/commands.h"
#include "cli/model_commands.h"
#include "cli/options.h"
#include "cli/transfer_bar.h"
#include "inpaint/convert.h"
#include "library/library.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    struct transfer_bar *bar = user;
    if (total)
        transfer_bar_show(bar, what, done, total);
    else if (bar->terminal && !bar->quiet) {
        fprintf(stderr, "\r\033[K%s…", what);
        fflush(stderr);
    }
    return !interrupted;
}

static bool parse_size(const char *text, int *width, int *height, struct error *error) {
    char end;
    if (!text) return true;
    if (sscanf(text, "%5dx%5d%c", width, height, &end) == 2 && *width >= 64 && *height >= 64 && *width <= 4096 && *height <= 4096 &&
        *width % 8 == 0 && *height % 8 == 0)
        return true;
    return error_set(error, ERROR_ARGUMENT, "--size must be WIDTHxHEIGHT, multiples of 8 from 64 to 4096, not \"%s\"", text);
}

int model_convert_command(const struct model_convert_settings *settings) {
    struct error error = {.code = ERROR_NONE};
    struct transfer_bar bar;
    struct convert_options options = {
        .engine = {.dtype = (inpaint_dtype)settings->dtype, .threads = (int)settings->threads, .no_safety = settings->no_safety},
        .progress = on_progress,
        .user = &bar};
    char *from = library_resolve(settings->from), text[BYTES_TEXT_SIZE];
    struct stat info;
    int64_t began = time_monotonic();
    interrupts_catch();
    transfer_bar_begin(&bar, settings->quiet);
    bool fine = from != NULL || error_set(&error, ERROR_MEMORY, "out of memory");
    fine =
        fine && parse_size(settings->size, &options.width, &options.height, &error) && convert_model(from, settings->to, &options, &error);
    transfer_bar_end(&bar);
    if (fine && stat(settings->to, &info) == 0)
        printf("%s: %s, in %.1f s; start with it: inpaintd serve --model %s\n", settings->to, bytes_text((uint64_t)info.st_size, text),
               (double)(time_monotonic() - began) / 1e6, settings->to);
    memory_free(from);
    return fine ? 0 : complain("model", &error);
}
