/* inpaintd serve: the service in this process, workers as children; they meet only in the store. */
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/data_folder.h"
#include "cli/engine_options.h"
#include "cli/hints.h"
#include "cli/options.h"
#include "cli/served_models.h"
#include "cli/supervisor.h"
#include "service/service.h"

#include <stdio.h>
#include <string.h>

struct serve_settings {
    const char *listen, *data, *store, *blobs, *public_url, *cors, *tls_certificate, *tls_key, *metrics;
    struct option_texts models;
    long long threads, workers, budget, wait, run_limit, drain, retention, forget, file_lifetime, creates, requests, queue, free_space;
    bool no_safety, data_uri_output, private_inputs, say_aborted;
    int dtype, log_format;
    bool log_format_given;
    struct engine_settings engine;
};

enum { WORKER_ARGUMENTS = 16 + 2 * OPTION_TEXTS_MAX + ENGINE_ARGUMENTS_MAX };

struct listener {
    const char *scheme, *host;
    size_t host_length;
};

static void announce(void *user, int port) {
    const struct listener *listener = user;
    printf("listening on %s://%.*s:%d\n", listener->scheme, (int)listener->host_length, listener->host, port);
    fflush(stdout);
}

static void worker_arguments(const struct serve_settings *settings, const struct data_folder *data, char numbers[2][24],
                             const char **arguments) {
    static const char *const dtypes[] = {"auto", "f32", "bf16"};
    size_t n = 0;
    snprintf(numbers[0], 24, "%lld", settings->threads);
    snprintf(numbers[1], 24, "%lld", settings->budget);
    const char *const fixed[] = {"inpaintd",        "worker",   "--data",  data->root,
                                 "--threads",       numbers[0], "--dtype", dtypes[settings->dtype],
                                 "--memory-budget", numbers[1]};
    for (; n < sizeof fixed / sizeof *fixed; n++) arguments[n] = fixed[n];
    for (int i = 0; i < settings->models.count; i++) {
        arguments[n++] = "--model";
        arguments[n++] = settings->models.text[i];
    }
    if (settings->no_safety) arguments[n++] = "--no-safety";
    if (settings->private_inputs) arguments[n++] = "--private-inputs";
    engine_options_pass(&settings->engine, arguments, &n);
    arguments[n] = NULL;
}

static bool serve(const struct serve_settings *settings, const struct data_folder *data, const struct served_models *models,
                  int *worker_code, struct error *error) {
    const char *arguments[WORKER_ARGUMENTS];
    char numbers[2][24];
    worker_arguments(settings, data, numbers, arguments);
    char *hints = hints_read(models->model[0].path);
    const struct service_options service = {
        .listen = settings->listen,
        .store_url = data->store,
        .blobs_url = data->blobs,
        .public_url = settings->public_url,
        .model_name = PUBLISHED_MODEL,
        .models = models->for_service,
        .model_count = models->service_count,
        .hints = hints,
        .body_bytes = (size_t)32 << 20,
        .run_seconds = (int)settings->run_limit,
        .drain_seconds = (int)settings->drain,
        .wait_seconds = (int)settings->wait,
        .retention_seconds = (int)settings->retention,
        .forget_seconds = (int)settings->forget,
        .file_seconds = (int)settings->file_lifetime,
        .data_uri_output = settings->data_uri_output,
        .say_aborted = settings->say_aborted,
        .private_webhooks = true,
        .cors_origins = settings->cors,
        .tls_certificate = settings->tls_certificate,
        .tls_key = settings->tls_key,
        .creates_per_minute = (int)settings->creates,
        .requests_per_minute = (int)settings->requests,
        .queue_limit = (int)settings->queue,
        .free_bytes = (uint64_t)settings->free_space * 1000000,
        .metrics_listen = settings->metrics,
    };
    const char *colon = strrchr(settings->listen, ':');
    struct listener listener = {settings->tls_certificate ? "https" : "http", settings->listen,
                                colon ? (size_t)(colon - settings->listen) : strlen(settings->listen)};
    struct supervisor *supervisor = NULL;
    if (settings->workers > 0 && !supervisor_start((char *const *)arguments, (int)settings->workers, &interrupted, &supervisor, error)) {
        memory_free(hints);
        return false;
    }
    bool fine = service_run(&service, &interrupted, announce, &listener, error);
    interrupted = 1; /* no more workers are started */
    *worker_code = supervisor_failed(supervisor);
    supervisor_end(supervisor);
    memory_free(hints);
    return fine;
}

int command_serve(int argc, char **argv) {
    struct serve_settings settings = {.listen = "127.0.0.1:8080",
                                      .workers = 1,
                                      .wait = 60,
                                      .run_limit = 86400,
                                      .file_lifetime = 86400,
                                      .queue = 10000,
                                      .free_space = 200};
    const struct option_row rows[] = {
        {"listen", 'l', OPTION_TEXT, "HOST:PORT", "where to listen (default 127.0.0.1:8080; port 0: any free one)", &settings.listen, 0, 0,
         NULL},
        {"data", 'd', OPTION_TEXT, "DIR", "what must not be lost: queue, pictures (default ~/.local/share/inpaintd)", &settings.data, 0, 0,
         NULL},
        STORE_OPTION(&settings.store),
        BLOBS_OPTION(&settings.blobs),
        MODEL_OPTION(&settings.models),
        BUDGET_OPTION(&settings.budget),
        {"workers", 'w', OPTION_INTEGER, "N", "worker processes here, 0 to 64 (default 1)", &settings.workers, 0, 64, NULL},
        {"threads", 't', OPTION_INTEGER, "N", "processors for each worker (default: all)", &settings.threads, 0, 256, NULL},
        {"dtype", 0, OPTION_CHOICE, "auto|f32|bf16", "arithmetic (default auto)", &settings.dtype, 0, 0, NULL},
        ENGINE_OPTIONS(&settings.engine),
        {"public-url", 0, OPTION_TEXT, "URL", "base of the URLs in answers (default: as the client asked)", &settings.public_url, 0, 0,
         NULL},
        {"max-wait", 0, OPTION_INTEGER, "SECONDS", "longest \"Prefer: wait\" (default 60)", &settings.wait, 1, 86400, NULL},
        {"run-limit", 0, OPTION_INTEGER, "SECONDS", "fail predictions that run for longer (default 86400; 0: never)", &settings.run_limit,
         0, 2e9, NULL},
        {"drain", 0, OPTION_INTEGER, "SECONDS", "told to stop, first be \"not ready\" for this long (default 0)", &settings.drain, 0, 3600,
         NULL},
        {"retention", 0, OPTION_INTEGER, "SECONDS", "remove inputs, outputs and logs after this (default 0: never)", &settings.retention, 0,
         2e9, NULL},
        {"forget", 0, OPTION_INTEGER, "SECONDS", "remove predictions altogether after this (default 0: never)", &settings.forget, 0, 2e9,
         NULL},
        {"file-lifetime", 0, OPTION_INTEGER, "SECONDS", "remove uploaded files after this (default 86400; 0: never)",
         &settings.file_lifetime, 0, 2e9, NULL},
        {"tls-certificate", 0, OPTION_TEXT, "FILE", "serve https with this certificate chain (PEM)", &settings.tls_certificate, 0, 0, NULL},
        {"tls-key", 0, OPTION_TEXT, "FILE", "and this private key (PEM)", &settings.tls_key, 0, 0, NULL},
        {"creates-per-minute", 0, OPTION_INTEGER, "N", "limit of each token (default 0: none)", &settings.creates, 0, 1e9, NULL},
        {"requests-per-minute", 0, OPTION_INTEGER, "N", "limit of each token (default 0: none)", &settings.requests, 0, 1e9, NULL},
        {"queue", 0, OPTION_INTEGER, "N", "most waiting predictions of each token (default 10000; 0: no limit)", &settings.queue, 0, 1e9,
         NULL},
        {"free-space", 0, OPTION_INTEGER, "MB", "with less left on the disk take nothing new (default 200; 0: go on)", &settings.free_space,
         0, 1e9, NULL},
        {"metrics-listen", 0, OPTION_TEXT, "HOST:PORT", "answer /metrics and probes here too, without a token, to whoever can reach it",
         &settings.metrics, 0, 0, NULL},
        {"data-uri-output", 0, OPTION_FLAG, NULL, "outputs as data: URIs instead of http URLs", &settings.data_uri_output, 0, 0, NULL},
        {"say-aborted", 0, OPTION_FLAG, NULL, "call predictions \"aborted\" whose deadline came before their start", &settings.say_aborted,
         0, 0, NULL},
        {"private-inputs", 0, OPTION_FLAG, NULL, "let input URLs point at private addresses", &settings.private_inputs, 0, 0, NULL},
        {"cors", 0, OPTION_TEXT, "ORIGINS", "web origins that may call the API, separated by commas", &settings.cors, 0, 0, NULL},
        {"no-safety", 0, OPTION_FLAG, NULL, "run without the safety checker", &settings.no_safety, 0, 0, NULL},
        LOG_FORMAT_OPTION(&settings.log_format, &settings.log_format_given),
        {0}};
    const struct command command = {
        "serve",
        "Serve the web page and the prediction API.",
        "[options]",
        "Needs no token on a loopback address; anywhere else create one first: inpaintd token create NAME.\n"
        "Ends on SIGINT and SIGTERM: what is running goes back to the queue and is painted after the next start.",
        "  inpaintd serve\n"
        "  inpaintd serve --listen 0.0.0.0:8080 --data /var/lib/inpaintd --model ~/models/stable-diffusion-inpainting\n"
        "  inpaintd serve --model stable-diffusion-v1-5/stable-diffusion-inpainting --model anime=/srv/anime.inpaint --memory-budget 9000\n"
        "  curl -s http://127.0.0.1:8080/healthz",
        rows,
        0,
        0};
    size_t count;
    int code = options_begin(&command, argc, argv, NULL, &count), worker_code = 0;
    if (code >= 0) return code;
    struct error error = {.code = ERROR_NONE};
    struct data_folder data;
    if (!data_folder_open(settings.data, &data, &error)) return complain(command.name, &error);
    interrupts_catch();
    struct served_models models;
    bool fine = served_models_read(&settings.models, &models, &error) &&
                log_format_use(settings.log_format, settings.log_format_given, &error) &&
                data_folder_use_store(&data, settings.store, &error) && data_folder_use_blobs(&data, settings.blobs, &error) &&
                served_models_look(&models, &error) && serve(&settings, &data, &models, &worker_code, &error);
    code = fine ? worker_code : complain(command.name, &error);
    served_models_free(&models);
    data_folder_free(&data);
    return code;
}
