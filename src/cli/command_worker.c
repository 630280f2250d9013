/* inpaintd worker: paints what a store's queue holds. */
#include "base/log.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "cli/engine_options.h"
#include "cli/options.h"
#include "cli/served_models.h"
#include "worker/worker.h"

static void log_note(void *user, const char *line) {
    (void)user;
    log_info("%s", line);
}

int command_worker(int argc, char **argv) {
    const char *folder = NULL, *store = NULL, *blobs = NULL;
    struct option_texts given = {.count = 0};
    long long threads = 0, budget = 0;
    int dtype = 0, log_format = 0;
    struct engine_settings engine = {0};
    bool log_format_given = false, no_safety = false, private_inputs = false;
    const struct option_row rows[] = {
        {"data", 'd', OPTION_TEXT, "DIR", "the server's data folder (default ~/.local/share/inpaintd)", &folder, 0, 0, NULL},
        STORE_OPTION(&store),
        BLOBS_OPTION(&blobs),
        MODEL_OPTION(&given),
        BUDGET_OPTION(&budget),
        {"threads", 't', OPTION_INTEGER, "N", "processors to use (default: all)", &threads, 0, 256, NULL},
        {"dtype", 0, OPTION_CHOICE, "auto|f32|bf16", "arithmetic (default auto)", &dtype, 0, 0, NULL},
        ENGINE_OPTIONS(&engine),
        {"private-inputs", 0, OPTION_FLAG, NULL, "let input URLs point at private addresses", &private_inputs, 0, 0, NULL},
        {"no-safety", 0, OPTION_FLAG, NULL, "run without the safety checker", &no_safety, 0, 0, NULL},
        LOG_FORMAT_OPTION(&log_format, &log_format_given),
        {0}};
    const struct command command = {"worker",
                                    "Paint what a store's queue holds, until told to stop.",
                                    "[options]",
                                    "\"inpaintd serve\" starts a worker by itself; more can be started beside it. One that is killed costs "
                                    "one attempt, not the prediction.",
                                    "  inpaintd worker --data /var/lib/inpaintd --threads 8\n"
                                    "  inpaintd worker --data /var/lib/inpaintd --model /srv/inpainting --model anime=/srv/anime.inpaint",
                                    rows,
                                    0,
                                    0};
    size_t count;
    int code = options_begin(&command, argc, argv, NULL, &count);
    if (code >= 0) return code;
    struct error error = {.code = ERROR_NONE};
    struct data_folder data;
    if (!data_folder_open(folder, &data, &error)) return complain(command.name, &error);
    struct served_models models;
    bool fine = served_models_read(&given, &models, &error) && log_format_use(log_format, log_format_given, &error) &&
                data_folder_use_store(&data, store, &error) && data_folder_use_blobs(&data, blobs, &error);
    struct worker_options options = {
        .store_url = data.store,
        .blobs_url = data.blobs,
        .models = models.for_worker,
        .model_count = models.worker_count,
        .memory_budget = (size_t)budget * 1000000,
        .engine = {.dtype = (inpaint_dtype)dtype, .threads = (int)threads, .no_safety = no_safety, .note = log_note},
        .lease_seconds = 15,
        .download_bytes = (size_t)100 << 20,
        .download_seconds = 60,
        .private_networks = private_inputs,
    };
    fine = fine && engine_options_use(&engine, &options.engine, &error);
    interrupts_catch();
    code = fine && worker_run(&options, &interrupted, &error) ? 0 : complain(command.name, &error);
    served_models_free(&models);
    engine_options_free(&engine);
    data_folder_free(&data);
    return code;
}
