#include "library/choose.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "weights/folder_texts.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *folder, *stem, *torch_stem;
    bool needed;
} components[] = {
    {"unet", "diffusion_pytorch_model", "diffusion_pytorch_model", true},
    {"vae", "diffusion_pytorch_model", "diffusion_pytorch_model", true},
    {"text_encoder", "model", "pytorch_model", true},
    {"safety_checker", "model", "pytorch_model", false},
};

/* What follows the stem, and before and after the number of a piece. */
static const struct form {
    const char *whole, *index, *piece;
    bool torch;
} half_first[] = {
    {".fp16.safetensors", ".safetensors.index.fp16.json", ".fp16-%05d-of-%05d.safetensors", false},
    {".safetensors", ".safetensors.index.json", "-%05d-of-%05d.safetensors", false},
    {".fp16.bin", ".bin.index.fp16.json", ".fp16-%05d-of-%05d.bin", true},
    {".bin", ".bin.index.json", "-%05d-of-%05d.bin", true},
};
static const size_t full_order[] = {1, 0, 3, 2}, half_order[] = {0, 1, 2, 3};
enum { FORMS = 4, PIECES_MAX = 200 };

static bool take(struct choice *choice, const struct hub_file *file, struct error *error) {
    for (size_t i = 0; i < choice->count; i++)
        if (choice->files[i] == file) return true;
    const struct hub_file **files = memory_resize(choice->files, (choice->count + 1) * sizeof *files);
    if (!files) return error_set(error, ERROR_MEMORY, "out of memory for a list of files");
    choice->files = files;
    files[choice->count++] = file;
    choice->bytes += file->size; /* at most FILES_MAX of at most 2^40: can't overflow */
    return true;
}

static const struct hub_file *find(const struct hub_listing *listing, const char *folder, const char *stem, const char *ending) {
    char *path = memory_format("%s/%s%s", folder, stem, ending);
    const struct hub_file *file = path ? hub_find(listing, path) : NULL;
    memory_free(path);
    return file;
}

/* Do the two numbers of `name` fit "...%05d-of-%05d..."? */
static bool is_piece(const char *name, const char *piece) {
    for (; *piece; piece++) {
        if (strncmp(piece, "%05d", 4) == 0) {
            if (strspn(name, "0123456789") != 5) return false;
            name += 5;
            piece += 3;
        } else if (*name++ != *piece) {
            return false;
        }
    }
    return *name == 0;
}

static bool take_pieces(const struct hub_listing *listing, const char *folder, const char *stem, const char *piece, struct choice *choice,
                        struct error *error) {
    size_t folder_length = strlen(folder), stem_length = strlen(stem), count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const char *path = listing->files[i].path;
        if (strncmp(path, folder, folder_length) != 0 || path[folder_length] != '/') continue;
        if (strncmp(path + folder_length + 1, stem, stem_length) != 0 || !is_piece(path + folder_length + 1 + stem_length, piece)) continue;
        if (++count > PIECES_MAX) return error_set(error, ERROR_LIMIT, "%s is in more than %d pieces", folder, PIECES_MAX);
        if (!take(choice, &listing->files[i], error)) return false;
    }
    return true;
}

static bool take_weights(const struct hub_listing *listing, size_t component, bool full, struct choice *choice, struct error *error) {
    const char *folder = components[component].folder;
    for (size_t i = 0; i < FORMS; i++) {
        const struct form *form = &half_first[full ? full_order[i] : half_order[i]];
        const char *stem = form->torch ? components[component].torch_stem : components[component].stem;
        const struct hub_file *whole = find(listing, folder, stem, form->whole), *index = find(listing, folder, stem, form->index);
        if (whole) return take(choice, whole, error);
        if (index) return take(choice, index, error) && take_pieces(listing, folder, stem, form->piece, choice, error);
    }
    if (!components[component].needed) return true;
    return error_set(
        error, ERROR_UNSUPPORTED,
        "%s has no weights in %s/ that can be read here: neither .safetensors nor .bin. It may hold another program's form (ONNX, "
        "Flax) or only a part of a model",
        listing->id, folder);
}

static bool choose_folder(const struct hub_listing *listing, bool full, struct choice *choice, struct error *error) {
    for (size_t i = 0; i < sizeof folder_texts / sizeof *folder_texts; i++) {
        const struct hub_file *file = hub_find(listing, folder_texts[i]);
        if (file && !take(choice, file, error)) return false;
    }
    for (size_t i = 0; i < sizeof components / sizeof *components; i++)
        if (!take_weights(listing, i, full, choice, error)) return false;
    return true;
}

/* ==== Single files ==== */

static bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), size = strlen(ending);
    return length >= size && strcmp(text + length - size, ending) == 0;
}

static bool is_single(const char *path) { return !strchr(path, '/') && (ends_with(path, ".safetensors") || ends_with(path, ".ckpt")); }

/* The one that there is; of the same name in both forms, the .safetensors. */
static const struct hub_file *only_single(const struct hub_listing *listing, struct buffer *names) {
    const struct hub_file *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        const struct hub_file *file = &listing->files[i];
        if (!is_single(file->path)) continue;
        buffer_format(names, "%s%s (%.1f GB)", names->length ? ", " : "", file->path, (double)file->size / 1e9);
        size_t stem = strcspn(file->path, ".");
        bool same = found && strcspn(found->path, ".") == stem && strncmp(found->path, file->path, stem) == 0;
        count += !same;
        if (!same || ends_with(file->path, ".safetensors")) found = file;
    }
    return count == 1 ? found : NULL;
}

static bool choose_single(const struct hub_listing *listing, const char *single, struct choice *choice, struct error *error) {
    struct buffer names;
    buffer_init(&names, 300);
    const struct hub_file *only = only_single(listing, &names), *file = single ? hub_find(listing, single) : only;
    const char *shown = names.failed ? "many" : names.length ? names.data : "none";
    bool fine = false;
    if (single && (!file || !is_single(single)))
        error_set(error, ERROR_NOT_FOUND, "%s has no single-file checkpoint %.100s; those there: %s", listing->id, single, shown);
    else if (!file && (names.length || names.failed))
        error_set(error, ERROR_ARGUMENT, "%s has several checkpoints: %s. Say which one: --file NAME", listing->id, shown);
    else if (!file)
        error_set(error, ERROR_UNSUPPORTED,
                  "%s holds no inpainting model that can be read here: neither model_index.json nor a single "
                  ".safetensors or .ckpt file",
                  listing->id);
    else
        fine = take(choice, file, error);
    buffer_free(&names);
    if (fine) choice->main = file->path;
    static const char *const also[] = {"README.md", "LICENSE", "LICENSE.md", "LICENSE.txt"};
    for (size_t i = 0; fine && i < sizeof also / sizeof *also; i++) {
        const struct hub_file *text = hub_find(listing, also[i]);
        fine = !text || take(choice, text, error);
    }
    return fine;
}

static int by_size(const void *a, const void *b) {
    const struct hub_file *const *left = a, *const *right = b;
    if ((*left)->size != (*right)->size) return (*left)->size < (*right)->size ? -1 : 1;
    return strcmp((*left)->path, (*right)->path);
}

bool choose_files(const struct hub_listing *listing, const char *single, bool full, struct choice *choice, struct error *error) {
    *choice = (struct choice){0};
    bool folder = !single && hub_find(listing, "model_index.json");
    if (folder ? choose_folder(listing, full, choice, error) : choose_single(listing, single, choice, error)) {
        qsort(choice->files, choice->count, sizeof *choice->files, by_size);
        return true;
    }
    choice_free(choice);
    return false;
}

void choice_free(struct choice *choice) {
    memory_free(choice->files);
    *choice = (struct choice){0};
}
