/* inpaintd model pull: what a person sees and is asked. */
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/model_commands.h"
#include "cli/options.h"
#include "cli/transfer_bar.h"
#include "library/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

struct asking {
    const struct model_pull_settings *settings;
    struct transfer_bar bar;
};

static const struct {
    const char *name, *link, *summary;
} known_licenses[] = {
    {"creativeml-openrail-m", "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
     "Use, also commercial and as a service, is allowed; the uses listed in its Attachment A are not (among them what harms, deceives or\n"
     "discriminates against people, medical advice and law enforcement). Whoever gets the model or its use from you must get these terms "
     "too."},
    {"openrail++", "https://huggingface.co/stabilityai/stable-diffusion-2/blob/main/LICENSE-MODEL",
     "Use, also commercial and as a service, is allowed; the uses listed in its Attachment A are not. Whoever gets the model or its use "
     "from\n"
     "you must get these terms too."},
};

static void show_license(const struct hub_listing *listing) {
    const char *link = listing->license_link, *summary = NULL;
    for (size_t i = 0; i < sizeof known_licenses / sizeof *known_licenses; i++) {
        if (strcasecmp(known_licenses[i].name, listing->license) != 0) continue;
        if (!link) link = known_licenses[i].link;
        summary = known_licenses[i].summary;
    }
    if (strcmp(listing->license, "unknown") == 0)
        fprintf(stderr, "%s does not state its licence: find out whether you may use it.\n", listing->id);
    else
        fprintf(stderr, "%s comes under the licence \"%s\".\n", listing->id, listing->license);
    if (summary) fprintf(stderr, "%s\n", summary);
    if (link) fprintf(stderr, "Read it: %s\n", link);
}

static bool ask(void *user, const struct hub_listing *listing) {
    const struct asking *asking = user;
    const char *accepted = asking->settings->accept_license;
    char line[16] = "";
    show_license(listing);
    if (accepted) return strcasecmp(accepted, listing->license) == 0;
    if (!isatty(STDIN_FILENO)) return false;
    fprintf(stderr, "Do you accept it? [y/N] ");
    fflush(stderr);
    return fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y');
}

static void on_begin(void *user, const struct hub_listing *listing, size_t files, uint64_t bytes, uint64_t there) {
    const struct asking *asking = user;
    char all[BYTES_TEXT_SIZE], some[BYTES_TEXT_SIZE];
    if (asking->settings->quiet) return;
    fprintf(stderr, "%s, revision %.12s: %zu files, %s", listing->id, listing->revision, files, bytes_text(bytes, all));
    fprintf(stderr, there ? ", of which %s are here already\n" : "\n", bytes_text(there, some));
}

static void on_progress(void *user, const struct transfer_progress *progress) {
    struct asking *asking = user;
    if (progress->note) {
        transfer_bar_end(&asking->bar);
        fprintf(stderr, "%s\n", progress->note);
        return;
    }
    transfer_bar_show(&asking->bar, progress->checking ? "checking" : "receiving", progress->done, progress->total);
}

/* Without the slashes at its end; heap string. */
static char *endpoint_of(const char *from) {
    const char *named = getenv("HF_ENDPOINT");
    char *endpoint = memory_string(from ? from : named && *named ? named : HUB_ENDPOINT);
    for (size_t length = endpoint ? strlen(endpoint) : 0; length > 0 && endpoint[length - 1] == '/';) endpoint[--length] = 0;
    return endpoint;
}

static const char *token_of_environment(void) {
    const char *token = getenv("HF_TOKEN");
    if (!token || !*token) token = getenv("HUGGING_FACE_HUB_TOKEN");
    return token && *token ? token : NULL;
}

static bool pull(const struct model_pull_settings *settings, char *id, const char *endpoint, const char *folder, struct error *error) {
    struct asking asking = {.settings = settings};
    char *at = strchr(id, '@'), *path = NULL;
    bool fresh = false;
    if (at) *at = 0;
    transfer_bar_begin(&asking.bar, settings->quiet);
    const struct pull_options options = {.hub = {.endpoint = endpoint, .token = token_of_environment(), .stop = &interrupted},
                                         .folder = folder,
                                         .id = id,
                                         .revision = at ? at + 1 : NULL,
                                         .file = settings->file,
                                         .full = settings->full,
                                         .connections = (int)settings->connections,
                                         .license = ask,
                                         .begins = on_begin,
                                         .progress = on_progress,
                                         .user = &asking};
    bool fine = model_pull(&options, &path, &fresh, error);
    transfer_bar_end(&asking.bar);
    if (fine) {
        printf("%s\n", path);
        if (!settings->quiet)
            fprintf(stderr, fresh ? "ready: inpaintd serve --model %s\n" : "%s is there already, at its newest revision\n", id);
    }
    memory_free(path);
    return fine;
}

int model_pull_command(const struct model_pull_settings *settings) {
    struct error error = {.code = ERROR_NONE};
    char *id = memory_string(settings->id), *endpoint = endpoint_of(settings->from), *folder = library_folder(&error);
    interrupts_catch();
    bool fine = id && endpoint && folder;
    if (!fine)
        error_set(&error, ERROR_MEMORY, "out of memory");
    else if (strncmp(endpoint, "http://", 7) != 0 && strncmp(endpoint, "https://", 8) != 0)
        fine = error_set(&error, ERROR_ARGUMENT, "a Hub's address begins with https://, not \"%s\"", endpoint);
    fine = fine && pull(settings, id, endpoint, folder, &error);
    memory_free(folder);
    memory_free(endpoint);
    memory_free(id);
    return fine ? 0 : complain("model", &error);
}
