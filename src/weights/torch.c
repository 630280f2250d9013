/* torch.save()'s files since 1.6: a zip archive with NAME/data.pkl, a pickle of what was saved, and
 * NAME/data/KEY, the memory of each tensor. The tensors are those of the dictionary at the pickle's
 * root, or of its "state_dict". */
#include "base/memory.h"
#include "base/text.h"
#include "weights/pickle.h"
#include "weights/table.h"
#include "weights/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_LENGTH = 512, KEY_MAX = 64, FOLDER_MAX = 256 };

struct archive {
    struct weights *weights;
    struct zip zip;
    const struct zip_member *pickle;
    char folder[FOLDER_MAX]; /* of every member, with its slash */
};

/* ==== The archive ==== */

/* FOLDER/data.pkl: the folder's name is that of the file when it was saved. */
static bool find_pickle(struct archive *archive, struct error *error) {
    static const char name[] = "data.pkl";
    size_t length = sizeof name - 1;
    for (size_t i = 0; i < archive->zip.count; i++) {
        const struct zip_member *member = &archive->zip.members[i];
        if (member->name_length < length || memcmp(member->name + member->name_length - length, name, length) != 0) continue;
        size_t folder = member->name_length - length;
        bool whole = folder == 0 || member->name[folder - 1] == '/';
        if (!whole || folder >= sizeof archive->folder || memchr(member->name, 0, folder)) continue;
        if (archive->pickle) return error_set(error, ERROR_FORMAT, "two files in the archive are called data.pkl");
        archive->pickle = member;
        memcpy(archive->folder, member->name, folder);
        archive->folder[folder] = 0;
    }
    return archive->pickle || error_set(error, ERROR_UNSUPPORTED, "this zip archive has no data.pkl, so torch did not save it as weights");
}

static const struct zip_member *find_member(const struct archive *archive, const char *name) {
    char path[FOLDER_MAX + KEY_MAX + 8];
    snprintf(path, sizeof path, "%s%s", archive->folder, name);
    return zip_find(&archive->zip, path);
}

static bool check_archive(const struct archive *archive, struct error *error) {
    const struct zip_member *order = find_member(archive, "byteorder");
    if (order && order->size == 3 && memcmp(order->data, "big", 3) == 0)
        return error_set(error, ERROR_UNSUPPORTED, "this file was saved on a big-endian machine; save it again on another");
    if (find_member(archive, "constants.pkl"))
        return error_set(error, ERROR_UNSUPPORTED, "this is a TorchScript program, not a file of weights");
    return true;
}

/* ==== Tensors ==== */

/* Where the tensor's numbers lie in the archive. */
static bool place_tensor(const struct archive *archive, const char *name, const struct pickle_tensor *from, struct entry *entry,
                         struct error *error) {
    const struct pickle_value *key = &from->storage.key;
    char member_name[KEY_MAX + 8], shown[QUOTED_SIZE];
    if (!from->contiguous)
        return error_set(error, ERROR_UNSUPPORTED,
                         "the numbers of tensor %s were saved in another order (it was not contiguous); load the file and save it again "
                         "with contiguous tensors",
                         quoted(name, shown));
    if (key->length == 0 || key->length > KEY_MAX || memchr(key->text, 0, key->length))
        return error_set(error, ERROR_FORMAT, "the memory of tensor %s has no name", quoted(name, shown));
    snprintf(member_name, sizeof member_name, "data/%.*s", (int)key->length, (const char *)key->text);
    const struct zip_member *member = find_member(archive, member_name);
    if (!member) return error_set(error, ERROR_FORMAT, "the memory of tensor %s is not in the archive", quoted(name, shown));
    size_t size = dtype_size(from->storage.dtype);
    if (from->storage.count > member->size / size)
        return error_set(error, ERROR_FORMAT, "the memory of tensor %s should have %llu numbers, but takes %zu bytes only",
                         quoted(name, shown), (unsigned long long)from->storage.count, member->size);
    entry->tensor = (struct tensor){.data = member->data + from->first * size, .dtype = from->storage.dtype, .rank = from->rank};
    memcpy(entry->tensor.shape, from->shape, sizeof from->shape);
    entry->first = (size_t)(member->data - archive->weights->bytes) + (size_t)from->first * size;
    entry->end = entry->first + tensor_count(&entry->tensor) * size;
    return true;
}

static bool add_tensor(struct archive *archive, struct pickle_value key, const struct pickle_tensor *tensor, struct error *error) {
    struct weights *weights = archive->weights;
    char shown[QUOTED_SIZE];
    bool sound = key.kind == PICKLE_TEXT && key.length <= NAME_MAX_LENGTH && !memchr(key.text, 0, key.length) &&
                 utf8_valid((const char *)key.text, key.length);
    if (!sound) return error_set(error, ERROR_FORMAT, "the name of a tensor is no text, or longer than %d bytes", NAME_MAX_LENGTH);
    struct entry *entry = &weights->entries[weights->count];
    *entry = (struct entry){.name = memory_string_n((const char *)key.text, key.length)};
    if (!entry->name)
        return error_set(error, ERROR_MEMORY, "out of memory for the name of tensor %s", quoted_bytes(key.text, key.length, shown));
    weights->count++;
    return place_tensor(archive, entry->name, tensor, entry, error);
}

/* The dictionary at `key` of another, or that other itself when it has none. */
static struct pickle_value inner_dict(const struct pickle *pickle, struct pickle_value dict, const char *name) {
    size_t cursor = 0;
    struct pickle_value key, value;
    while (pickle_next(pickle, dict, &cursor, &key, &value))
        if (pickle_is_text(key, name) && value.kind == PICKLE_DICT) return value;
    return dict;
}

static bool add_tensors(struct archive *archive, const struct pickle *pickle, struct error *error) {
    struct pickle_value dict = pickle_root(pickle), key, value;
    if (dict.kind != PICKLE_DICT) return error_set(error, ERROR_UNSUPPORTED, "the file holds something else than named tensors");
    dict = inner_dict(pickle, dict, "state_dict");
    size_t count = 0, cursor = 0;
    while (pickle_next(pickle, dict, &cursor, &key, &value)) count += value.kind == PICKLE_TENSOR;
    if (count == 0) return error_set(error, ERROR_UNSUPPORTED, "the file holds no named tensors");
    if (count > WEIGHTS_TENSORS_MAX)
        return error_set(error, ERROR_LIMIT, "%zu tensors are in the file; %d are the most", count, WEIGHTS_TENSORS_MAX);
    archive->weights->entries = memory_array(count, sizeof *archive->weights->entries);
    if (!archive->weights->entries) return error_set(error, ERROR_MEMORY, "out of memory for the names of %zu tensors", count);
    cursor = 0;
    while (pickle_next(pickle, dict, &cursor, &key, &value))
        if (value.kind == PICKLE_TENSOR && !add_tensor(archive, key, pickle_tensor(pickle, value), error)) return false;
    return true;
}

static int compare_places(const void *a, const void *b) {
    const struct entry *left = a, *right = b;
    if (left->first != right->first) return left->first < right->first ? -1 : 1;
    return strcmp(left->name, right->name);
}

bool torch_read(struct weights *weights, struct error *error) {
    struct archive archive = {.weights = weights};
    struct pickle *pickle;
    if (!zip_read(weights->bytes, weights->size, &archive.zip, error)) return false;
    bool read = find_pickle(&archive, error) && check_archive(&archive, error) &&
                pickle_read(archive.pickle->data, archive.pickle->size, &pickle, error);
    if (read) {
        read = add_tensors(&archive, pickle, error);
        pickle_free(pickle);
    }
    zip_free(&archive.zip);
    if (read) qsort(weights->entries, weights->count, sizeof *weights->entries, compare_places);
    return read;
}
