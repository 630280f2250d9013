/* The zip format (PKWARE's APPNOTE.TXT), as much of it as torch writes: the end record, its 64-bit
 * form, the central directory, stored members. The directory is what counts; each member's local
 * header must agree with it about the name. */
#include "weights/zip.h"

#include "base/memory.h"
#include "weights/table.h"

#include <stdlib.h>
#include <string.h>

enum {
    END_SIZE = 22,
    COMMENT_MAX = 65535,
    LOCATOR_SIZE = 20,
    END64_SIZE = 56,
    CENTRAL_SIZE = 46,
    LOCAL_SIZE = 30,
    FLAG_ENCRYPTED = 1,
    EXTRA_ZIP64 = 1
};
static const uint32_t end_mark = 0x06054b50, locator_mark = 0x07064b50, end64_mark = 0x06064b50, central_mark = 0x02014b50,
                      local_mark = 0x04034b50, in_extra = 0xffffffff;

static uint64_t little(const unsigned char *bytes, int count) {
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--) value = value << 8 | bytes[i];
    return value;
}
static size_t two(const unsigned char *bytes) { return (size_t)little(bytes, 2); }
static uint32_t four(const unsigned char *bytes) { return (uint32_t)little(bytes, 4); }

/* ==== The end record ==== */

struct directory {
    uint64_t offset, size, count;
};

/* Where the end record begins: it is followed by nothing but its comment. */
static bool find_end(const unsigned char *bytes, size_t size, size_t *place, struct error *error) {
    for (size_t comment = 0; comment <= COMMENT_MAX && size >= END_SIZE + comment; comment++) {
        const unsigned char *end = bytes + size - END_SIZE - comment;
        if (four(end) == end_mark && two(end + 20) == comment) {
            *place = (size_t)(end - bytes);
            return true;
        }
    }
    return error_set(error, ERROR_FORMAT, "a zip archive without its end: is the file complete?");
}

/* Archives above 4 GB say their numbers in a record of their own. */
static bool read_end64(const unsigned char *bytes, size_t end, struct directory *directory, struct error *error) {
    uint64_t place = little(bytes + end - LOCATOR_SIZE + 8, 8);
    if (end < LOCATOR_SIZE + END64_SIZE || place > end - LOCATOR_SIZE - END64_SIZE || four(bytes + place) != end64_mark)
        return error_set(error, ERROR_FORMAT, "the archive's 64-bit end record is not where it should be");
    *directory = (struct directory){little(bytes + place + 48, 8), little(bytes + place + 40, 8), little(bytes + place + 32, 8)};
    return true;
}

static bool read_end(const unsigned char *bytes, size_t size, struct directory *directory, struct error *error) {
    size_t end = 0;
    if (!find_end(bytes, size, &end, error)) return false;
    const unsigned char *at = bytes + end;
    *directory = (struct directory){four(at + 16), four(at + 12), two(at + 10)};
    bool large = end >= LOCATOR_SIZE && four(at - LOCATOR_SIZE) == locator_mark;
    if (large && !read_end64(bytes, end, directory, error)) return false;
    if (directory->offset > end || directory->size > end - directory->offset)
        return error_set(error, ERROR_FORMAT, "the archive's directory lies outside the file");
    if (directory->count > ZIP_MEMBERS_MAX)
        return error_set(error, ERROR_LIMIT, "%llu files are in the archive; %d are the most", (unsigned long long)directory->count,
                         ZIP_MEMBERS_MAX);
    if (directory->count > directory->size / CENTRAL_SIZE)
        return error_set(error, ERROR_FORMAT, "the archive's directory is too short for the %llu files that it should list",
                         (unsigned long long)directory->count);
    return true;
}

/* ==== Members ==== */

/* What the directory says about one member. */
struct record {
    const unsigned char *name;
    size_t name_length;
    uint64_t stored, size, place;
};

static const char *shown(const struct record *record, char text[QUOTED_SIZE]) {
    return quoted_bytes(record->name, record->name_length, text);
}

/* Numbers that four bytes do not hold are in the extra field, in this order. */
static bool read_extra(const unsigned char *extra, size_t length, struct record *record, struct error *error) {
    uint64_t *const wanted[] = {&record->size, &record->stored, &record->place};
    char name[QUOTED_SIZE];
    bool complete = record->size != in_extra && record->stored != in_extra && record->place != in_extra;
    for (size_t i = 0; !complete && i + 4 <= length;) {
        size_t field = two(extra + i + 2), at = i + 4;
        if (field > length - at) break;
        for (size_t k = 0; two(extra + i) == EXTRA_ZIP64 && k < 3; k++) {
            if (*wanted[k] != in_extra) continue;
            if (at + 8 > i + 4 + field) return error_set(error, ERROR_FORMAT, "the 64-bit sizes of %s are cut", shown(record, name));
            *wanted[k] = little(extra + at, 8);
            at += 8;
        }
        complete = two(extra + i) == EXTRA_ZIP64;
        i += 4 + field;
    }
    return complete || error_set(error, ERROR_FORMAT, "the 64-bit sizes of %s are missing", shown(record, name));
}

static bool damaged(struct error *error, const char *how) {
    error_set(error, ERROR_FORMAT, "the archive's directory %s", how);
    return false;
}

/* The record at `at`, of which `left` bytes of directory remain; its length goes to *length. */
static bool read_record(const unsigned char *at, size_t left, struct record *record, size_t *length, struct error *error) {
    if (left < CENTRAL_SIZE || four(at) != central_mark) return damaged(error, "is damaged or ends too early");
    size_t name = two(at + 28), extra = two(at + 30), comment = two(at + 32);
    *length = CENTRAL_SIZE + name + extra + comment;
    if (*length > left) return damaged(error, "ends inside a record");
    *record = (struct record){at + CENTRAL_SIZE, name, four(at + 20), four(at + 24), four(at + 42)};
    char text[QUOTED_SIZE];
    if (two(at + 8) & FLAG_ENCRYPTED) return error_set(error, ERROR_UNSUPPORTED, "%s is encrypted", shown(record, text));
    if (two(at + 10) != 0)
        return error_set(error, ERROR_UNSUPPORTED, "%s is compressed, which torch does not do; unpack the archive first",
                         shown(record, text));
    if (!read_extra(at + CENTRAL_SIZE + name, extra, record, error)) return false;
    if (record->stored != record->size)
        return error_set(error, ERROR_FORMAT, "%s is stored as it is, but its two sizes differ", shown(record, text));
    return true;
}

/* limit: where the directory begins; members lie before it. */
static bool locate(const unsigned char *bytes, uint64_t limit, const struct record *record, struct zip_member *member,
                   struct error *error) {
    char text[QUOTED_SIZE];
    if (record->place > limit || limit - record->place < LOCAL_SIZE)
        return error_set(error, ERROR_FORMAT, "%s begins outside the archive", shown(record, text));
    const unsigned char *local = bytes + record->place;
    uint64_t header = LOCAL_SIZE + (uint64_t)two(local + 26) + two(local + 28), left = limit - record->place;
    if (four(local) != local_mark || header > left || two(local + 26) != record->name_length ||
        memcmp(local + LOCAL_SIZE, record->name, record->name_length) != 0)
        return error_set(error, ERROR_FORMAT, "what the archive has in the place of %s is something else", shown(record, text));
    if (record->size > left - header) return error_set(error, ERROR_FORMAT, "%s ends outside the archive", shown(record, text));
    *member = (struct zip_member){record->name, record->name_length, local + header, (size_t)record->size};
    return true;
}

/* Names compare like memcmp, the shorter one first. */
static int compare(const unsigned char *a, size_t a_length, const unsigned char *b, size_t b_length) {
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

static int compare_members(const void *a, const void *b) {
    const struct zip_member *left = a, *right = b;
    return compare(left->name, left->name_length, right->name, right->name_length);
}

static bool read_members(const unsigned char *bytes, const struct directory *directory, struct zip *zip, struct error *error) {
    const unsigned char *at = bytes + directory->offset;
    size_t left = (size_t)directory->size;
    for (; zip->count < directory->count; zip->count++) {
        struct record record = {0};
        size_t length = 0;
        if (!read_record(at, left, &record, &length, error) || !locate(bytes, directory->offset, &record, &zip->members[zip->count], error))
            return false;
        at += length;
        left -= length;
    }
    qsort(zip->members, zip->count, sizeof *zip->members, compare_members);
    for (size_t i = 1; i < zip->count; i++) {
        char text[QUOTED_SIZE];
        if (compare_members(&zip->members[i - 1], &zip->members[i]) == 0)
            return error_set(error, ERROR_FORMAT, "%s is in the archive twice",
                             quoted_bytes(zip->members[i].name, zip->members[i].name_length, text));
    }
    return true;
}

bool zip_read(const unsigned char *bytes, size_t size, struct zip *zip, struct error *error) {
    *zip = (struct zip){0};
    struct directory directory;
    if (!read_end(bytes, size, &directory, error)) return false;
    zip->members = memory_array(directory.count ? (size_t)directory.count : 1, sizeof *zip->members);
    if (!zip->members) return error_set(error, ERROR_MEMORY, "out of memory for the archive's directory");
    if (read_members(bytes, &directory, zip, error)) return true;
    zip_free(zip);
    return false;
}

void zip_free(struct zip *zip) {
    memory_free(zip->members);
    *zip = (struct zip){0};
}

const struct zip_member *zip_find(const struct zip *zip, const char *name) {
    const struct zip_member key = {.name = (const unsigned char *)name, .name_length = strlen(name)};
    return bsearch(&key, zip->members, zip->count, sizeof key, compare_members);
}
