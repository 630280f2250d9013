/* inpaintd model list, verify and remove: looking after what was pulled. */
#include "base/archive.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/model_commands.h"
#include "cli/options.h"
#include "cli/transfer_bar.h"
#include "library/library.h"

#include <stdio.h>
#include <string.h>

static int out_of_memory(void) {
    struct error error;
    error_set(&error, ERROR_MEMORY, "out of memory");
    return complain("model", &error);
}

int model_list_command(void) {
    struct error error = {.code = ERROR_NONE};
    struct record *records;
    size_t count;
    char *folder = library_folder(&error), text[BYTES_TEXT_SIZE];
    if (!folder) return complain("model", &error);
    bool fine = library_list(folder, &records, &count, &error);
    if (fine && count == 0)
        fprintf(stderr, "no models in %s yet; one to begin with: inpaintd model pull stable-diffusion-v1-5/stable-diffusion-inpainting\n",
                folder);
    for (size_t i = 0; fine && i < count; i++)
        printf("%-60s %10s  %.12s  %s\n", records[i].id, bytes_text(records[i].bytes, text), records[i].revision,
               records[i].license ? records[i].license : "unknown");
    if (fine) records_free(records, count);
    memory_free(folder);
    return fine ? 0 : complain("model", &error);
}

/* OWNER/NAME below the models folder, else a folder; heap string. */
static char *model_folder(const char *name) {
    char *folder = library_folder(NULL), *model = folder ? file_join(folder, name) : NULL;
    bool pulled = model && file_exists(model);
    memory_free(folder);
    if (pulled && !file_exists(name)) return model;
    memory_free(model);
    return memory_string(name);
}

static bool on_read(void *user, uint64_t done, uint64_t total) {
    transfer_bar_show(user, "checking", done, total);
    return !interrupted;
}

static void on_wrong(void *user, const char *path, const char *what) {
    transfer_bar_end(user);
    printf("%s %s\n", path, what);
}

static bool verify(const char *model, const struct record *record, size_t *damaged, struct error *error) {
    struct transfer_bar bar;
    transfer_bar_begin(&bar, false);
    bar.quiet = !bar.terminal;
    const struct verify how = {.seen = on_read, .wrong = on_wrong, .user = &bar};
    bool fine = library_verify(model, record, &how, damaged, error);
    transfer_bar_end(&bar);
    return fine;
}

/* A packed file's members against the hashes in its directory. */
static int verify_packed(const char *path) {
    struct error error = {.code = ERROR_NONE};
    struct transfer_bar bar;
    size_t damaged = 0, count = 0;
    transfer_bar_begin(&bar, false);
    bar.quiet = !bar.terminal;
    interrupts_catch();
    const struct verify how = {.seen = on_read, .wrong = on_wrong, .user = &bar};
    bool fine = library_verify_packed(path, &how, &count, &damaged, &error);
    transfer_bar_end(&bar);
    if (fine && damaged)
        fine = error_set(&error, ERROR_FORMAT, "%zu of %zu parts are damaged; make it again: inpaintd model convert", damaged, count);
    if (fine) printf("%s: %zu parts, all as they were written\n", path, count);
    return fine ? 0 : complain("model", &error);
}

int model_verify_command(const char *name) {
    if (archive_is(name)) return verify_packed(name);
    struct error error = {.code = ERROR_NONE};
    struct record record;
    size_t damaged = 0;
    char *model = model_folder(name);
    if (!model) return out_of_memory();
    interrupts_catch();
    bool fine = record_read(model, &record, &error);
    if (!fine && error.code == ERROR_NOT_FOUND)
        error_set(&error, ERROR_NOT_FOUND,
                  file_exists(model) ? "%s was not pulled by inpaintd, so nothing says what its files should be"
                                     : "there is no model %s; \"inpaintd model list\" shows those that were pulled",
                  name);
    if (fine) {
        fine = verify(model, &record, &damaged, &error);
        if (fine && damaged)
            fine = error_set(&error, ERROR_FORMAT,
                             "%zu of %zu files are damaged; get them again: inpaintd model remove %s && inpaintd model pull %s", damaged,
                             record.count, record.id, record.id);
        else if (fine)
            printf("%s: %zu files, all as they were pulled\n", record.id, record.count);
        record_free(&record);
    }
    memory_free(model);
    return fine ? 0 : complain("model", &error);
}

int model_remove_command(const char *name) {
    struct error error = {.code = ERROR_NONE};
    uint64_t bytes = 0;
    char *folder = library_folder(&error), text[BYTES_TEXT_SIZE];
    bool fine = folder && library_remove(folder, name, &bytes, &error);
    if (fine) printf("removed %s, %s\n", name, bytes_text(bytes, text));
    memory_free(folder);
    return fine ? 0 : complain("model", &error);
}
