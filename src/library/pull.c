#include "library/pull.h"

#include "base/file.h"
#include "base/memory.h"
#include "library/checksum.h"
#include "library/choose.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { CONFIG_BYTES_MAX = 1 << 20, SMALL_FILE = 8 << 20 };
#define SPARE_BYTES ((uint64_t)64 << 20) /* of disk, left to others */

char *pull_folder(const char *folder, const char *id) {
    const char *slash = strchr(id, '/');
    return memory_format("%s/.pulling/%.*s--%s", folder, (int)(slash - id), id, slash + 1);
}

/* ==== Licences, asked for once ==== */

static bool check_license(const struct pull_options *options, const struct hub_listing *listing, struct error *error) {
    char *folder = file_join(options->folder, ".licenses"), name[64], *path;
    snprintf(name, sizeof name, "%s", listing->license);
    for (char *c = name; *c; c++)
        if (*c == '/' || *c == '.') *c = '_';
    path = folder ? file_join(folder, name) : NULL;
    bool fine = path != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    if (fine && !file_exists(path)) {
        fine = options->license(options->user, listing) ||
               error_set(error, ERROR_ARGUMENT, "the licence \"%s\" was not accepted; in a script say: --accept-license %s",
                         listing->license, listing->license);
        fine = fine && file_make_folders(folder, error) && file_write(path, listing->id, strlen(listing->id), error);
    }
    memory_free(path);
    memory_free(folder);
    return fine;
}

/* ==== Before it costs time ==== */

/* Only what is not there yet has to fit. */
static bool check_space(const char *folder, uint64_t bytes, struct error *error) {
    struct statvfs info;
    if (statvfs(folder, &info) != 0) return error_from_errno(error, "can't look at %s", folder);
    uint64_t room = (uint64_t)info.f_bavail * info.f_frsize;
    if (bytes + SPARE_BYTES <= room) return true;
    return error_set(error, ERROR_FULL,
                     "%.1f GB are to be received, but %s has room for %.1f GB only. Make room, or set INPAINT_MODELS to "
                     "another disk's folder",
                     (double)bytes / 1e9, folder, (double)room / 1e9);
}

/* unet/config.json says whether it can inpaint: better read before gigabytes follow. */
static bool check_channels(const char *folder, const char *id, struct error *error) {
    char *path = file_join(folder, "unet/config.json"), *text = NULL;
    size_t length;
    json_t *config = path && file_read(path, CONFIG_BYTES_MAX, &text, &length, NULL) ? json_loadb(text, length, 0, NULL) : NULL;
    const json_t *channels = json_object_get(config, "in_channels");
    json_int_t count = json_is_integer(channels) ? json_integer_value(channels) : 9;
    json_decref(config);
    memory_free(text);
    memory_free(path);
    return count == 9 ||
           error_set(error, ERROR_UNSUPPORTED,
                     "%s can't inpaint: its UNet takes %lld channels instead of 9. Nothing more was received; get an inpainting "
                     "model, such as stable-diffusion-v1-5/stable-diffusion-inpainting",
                     id, (long long)count);
}

/* ==== Receiving ==== */

struct job {
    const struct pull_options *options;
    const struct hub_listing *listing;
    const struct choice *choice;
    const char *folder; /* below .pulling */
    struct transfer_file *files;
    size_t count;
};

static bool add_file(struct job *job, const struct hub_file *file, struct error *error) {
    struct transfer_file *to = &job->files[job->count];
    *to = (struct transfer_file){.file = file, .path = file_join(job->folder, file->path)};
    to->url = hub_url(&job->options->hub, job->listing, file->path);
    job->count++;
    if (!to->path || !to->url) return error_set(error, ERROR_MEMORY, "out of memory");
    char *slash = strrchr(to->path, '/');
    *slash = 0;
    bool made = file_make_folders(to->path, error);
    *slash = '/';
    return made;
}

static bool receive(const struct job *job, size_t first, size_t count, struct error *error) {
    const struct transfer_options options = {.hub = &job->options->hub,
                                             .id = job->options->id,
                                             .connections = job->options->connections,
                                             .progress = job->options->progress,
                                             .user = job->options->user};
    return transfer_files(&options, job->files + first, count, error);
}

static bool receive_all(struct job *job, struct error *error) {
    const struct choice *choice = job->choice;
    uint64_t there = 0;
    size_t small = 0;
    for (size_t i = 0; i < choice->count; i++)
        if (!add_file(job, choice->files[i], error)) return false;
    for (size_t i = 0; i < job->count; i++) there += transfer_received(&job->files[i]);
    if (!check_space(job->folder, choice->bytes - there, error)) return false;
    while (small < job->count && job->files[small].file->size <= SMALL_FILE && !strstr(job->files[small].file->path, ".safetensors"))
        small++;
    if (job->options->begins) job->options->begins(job->options->user, job->listing, choice->count, choice->bytes, there);
    return receive(job, 0, small, error) && check_channels(job->folder, job->listing->id, error) && receive(job, 0, job->count, error);
}

/* ==== Putting in place ==== */

static bool write_record(const struct job *job, struct error *error) {
    struct record record = {.id = (char *)(uintptr_t)job->options->id,
                            .source = (char *)(uintptr_t)job->options->hub.endpoint,
                            .license = (char *)(uintptr_t)job->listing->license,
                            .main = (char *)(uintptr_t)job->choice->main};
    snprintf(record.revision, sizeof record.revision, "%s", job->listing->revision);
    record.files = memory_array(job->count ? job->count : 1, sizeof *record.files);
    bool fine = record.files != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    for (; fine && record.count < job->count; record.count++) {
        const struct hub_file *file = job->files[record.count].file;
        struct checksum found;
        record.files[record.count] = (struct record_file){.path = file->path, .size = file->size};
        memcpy(record.files[record.count].sha256, file->sha256, 65);
        if (file->sha256[0]) continue; /* the transfer compared it */
        fine = checksum_file(job->files[record.count].path, NULL, NULL, &found, error);
        if (fine) memcpy(record.files[record.count].sha256, found.sha256, 65);
    }
    fine = fine && record_write(job->folder, &record, error);
    memory_free(record.files);
    return fine;
}

static bool sync_folder(const char *path) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool fine = folder >= 0 && fsync(folder) == 0;
    if (folder >= 0) close(folder);
    return fine;
}

/* All at once: either the old model is there, or the new one. */
static bool put_in_place(const struct job *job, const char *model, struct error *error) {
    char *owner = memory_string(model);
    if (!owner) return error_set(error, ERROR_MEMORY, "out of memory");
    *strrchr(owner, '/') = 0;
    bool fine = file_make_folders(owner, error);
    if (fine) {
        bool replaced = renameat2(AT_FDCWD, job->folder, AT_FDCWD, model, RENAME_EXCHANGE) == 0;
        fine = (replaced || rename(job->folder, model) == 0) && sync_folder(owner);
        uint64_t freed = 0;
        if (!fine) error_from_errno(error, "can't put the model in place as %s", model);
        if (fine && replaced) folder_remove(job->folder, &freed, NULL);
    }
    memory_free(owner);
    return fine;
}

static bool pull_choice(struct job *job, const char *model, struct error *error) {
    job->files = memory_array(job->choice->count, sizeof *job->files);
    if (!job->files) return error_set(error, ERROR_MEMORY, "out of memory");
    bool fine =
        file_make_folders(job->folder, error) && receive_all(job, error) && write_record(job, error) && put_in_place(job, model, error);
    for (size_t i = 0; i < job->count; i++) {
        memory_free(job->files[i].url);
        memory_free(job->files[i].path);
    }
    memory_free(job->files);
    return fine;
}

/* What an earlier pull of another revision left is of no use. */
static bool keep_only_revision(const char *folder, const char *revision, struct error *error) {
    char *path = memory_format("%s.revision", folder), *text = NULL;
    size_t length;
    uint64_t freed = 0;
    if (!path) return error_set(error, ERROR_MEMORY, "out of memory");
    bool same = file_read(path, 100, &text, &length, NULL) && strcmp(text, revision) == 0, fine = true;
    if (!same && file_exists(folder)) fine = folder_remove(folder, &freed, error);
    if (!same && fine) fine = file_write(path, revision, strlen(revision), error);
    memory_free(text);
    memory_free(path);
    return fine;
}

static bool is_there(const char *model, const struct hub_listing *listing, const struct choice *choice) {
    struct record record;
    if (!record_read(model, &record, NULL)) return false;
    bool same = strcmp(record.revision, listing->revision) == 0 && record.count == choice->count;
    for (size_t i = 0; same && i < record.count; i++) same = strcmp(record.files[i].path, choice->files[i]->path) == 0;
    record_free(&record);
    return same;
}

static bool pull_listing(const struct pull_options *options, const struct hub_listing *listing, char **path, bool *fresh,
                         struct error *error) {
    struct choice choice;
    if (!choose_files(listing, options->file, options->full, &choice, error)) return false;
    char *model = file_join(options->folder, options->id), *folder = pull_folder(options->folder, options->id);
    struct job job = {.options = options, .listing = listing, .choice = &choice, .folder = folder};
    bool fine = (model && folder) || error_set(error, ERROR_MEMORY, "out of memory");
    *fresh = fine && !is_there(model, listing, &choice);
    if (*fresh)
        fine = check_license(options, listing, error) && keep_only_revision(folder, listing->revision, error) &&
               pull_choice(&job, model, error);
    if (fine) *path = choice.main ? file_join(model, choice.main) : memory_string(model);
    if (fine && !*path) fine = error_set(error, ERROR_MEMORY, "out of memory");
    memory_free(folder);
    memory_free(model);
    choice_free(&choice);
    return fine;
}

/* Two pulls of one model would write into the same files. */
static bool lock(const struct pull_options *options, int *held, struct error *error) {
    char *folder = pull_folder(options->folder, options->id), *path = folder ? memory_format("%s.lock", folder) : NULL;
    bool fine = path != NULL || error_set(error, ERROR_MEMORY, "out of memory");
    if (fine) *strrchr(folder, '/') = 0;
    fine = fine && file_make_folders(folder, error);
    if (fine) {
        *held = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        fine = *held >= 0 || error_from_errno(error, "can't write %s", path);
    }
    if (fine && flock(*held, LOCK_EX | LOCK_NB) != 0)
        fine = error_set(error, ERROR_CONFLICT, "%s is being pulled by another inpaintd already", options->id);
    memory_free(path);
    memory_free(folder);
    return fine;
}

bool model_pull(const struct pull_options *options, char **path, bool *fresh, struct error *error) {
    struct hub_listing listing;
    int held = -1;
    *path = NULL;
    if (!hub_valid_id(options->id))
        return error_set(error, ERROR_ARGUMENT,
                         "\"%s\" is no model's name: OWNER/NAME is expected, such as "
                         "stable-diffusion-v1-5/stable-diffusion-inpainting",
                         options->id);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return error_set(error, ERROR_MEMORY, "can't set up downloads");
    bool fine = lock(options, &held, error) && hub_list(&options->hub, options->id, options->revision, &listing, error);
    if (fine) {
        fine = pull_listing(options, &listing, path, fresh, error);
        hub_listing_free(&listing);
    }
    if (held >= 0) close(held);
    curl_global_cleanup();
    return fine;
}
