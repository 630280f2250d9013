/* Zip archives by hand: members in their place, and archives that lie. */
#include "base/memory.h"
#include "weights/zip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ==== A writer that can lie ==== */

struct archive {
    unsigned char bytes[4096];
    size_t size;
    size_t local[2], central[2], end64, locator, end; /* where the parts begin */
};

static void put(struct archive *archive, uint64_t value, int count) {
    for (int i = 0; i < count; i++, value = value >> 8) archive->bytes[archive->size++] = (unsigned char)value;
}
static void put_text(struct archive *archive, const char *text) {
    memcpy(archive->bytes + archive->size, text, strlen(text));
    archive->size += strlen(text);
}

static const char *const names[2] = {"b/long", "a"}, *const contents[2] = {"hello", "you"};

/* Both members; with `large`, sizes in the 64-bit extra field and a 64-bit end record. */
static struct archive make(bool large) {
    struct archive archive = {0};
    for (int i = 0; i < 2; i++) {
        archive.local[i] = archive.size;
        put(&archive, 0x04034b50, 4);
        put(&archive, 0, 22);
        put(&archive, strlen(names[i]), 2);
        put(&archive, 7, 2); /* padding, as torch aligns with it */
        put_text(&archive, names[i]);
        put_text(&archive, "FBxxxxx");
        put_text(&archive, contents[i]);
    }
    for (int i = 0; i < 2; i++) {
        uint64_t size = strlen(contents[i]);
        archive.central[i] = archive.size;
        put(&archive, 0x02014b50, 4);
        put(&archive, 0, 16);
        put(&archive, large ? 0xffffffff : size, 4);
        put(&archive, large ? 0xffffffff : size, 4);
        put(&archive, strlen(names[i]), 2);
        put(&archive, large ? 34 : 0, 2);
        put(&archive, 0, 10);
        put(&archive, large ? 0xffffffff : archive.local[i], 4);
        put_text(&archive, names[i]);
        if (!large) continue;
        put(&archive, 0x9999, 2);
        put(&archive, 2, 2);
        put(&archive, 0, 2);
        put(&archive, 1, 2);
        put(&archive, 24, 2);
        put(&archive, size, 8);
        put(&archive, size, 8);
        put(&archive, archive.local[i], 8);
    }
    uint64_t directory = archive.size - archive.central[0];
    archive.end64 = archive.size;
    if (large) {
        put(&archive, 0x06064b50, 4);
        put(&archive, 44, 8);
        put(&archive, 0, 20);
        put(&archive, 2, 8);
        put(&archive, directory, 8);
        put(&archive, archive.central[0], 8);
        archive.locator = archive.size;
        put(&archive, 0x07064b50, 4);
        put(&archive, 0, 4);
        put(&archive, archive.end64, 8);
        put(&archive, 1, 4);
    }
    archive.end = archive.size;
    put(&archive, 0x06054b50, 4);
    put(&archive, 0, 4);
    put(&archive, large ? 0xffff : 2, 2);
    put(&archive, large ? 0xffff : 2, 2);
    put(&archive, large ? 0xffffffff : directory, 4);
    put(&archive, large ? 0xffffffff : archive.central[0], 4);
    put(&archive, 0, 2);
    return archive;
}

static void patch(struct archive *archive, size_t place, uint64_t value, int count) {
    size_t size = archive->size;
    archive->size = place;
    put(archive, value, count);
    archive->size = size;
}

/* ==== Reading ==== */

static void members_are_found_where_they_lie(void **state) {
    (void)state;
    for (int large = 0; large < 2; large++) {
        struct archive archive = make(large);
        struct zip zip;
        struct error error = {0};
        if (!zip_read(archive.bytes, archive.size, &zip, &error)) fail_msg("%s", error.message);
        assert_int_equal(zip.count, 2);
        for (int i = 0; i < 2; i++) {
            const struct zip_member *member = zip_find(&zip, names[i]);
            assert_non_null(member);
            assert_int_equal(member->size, strlen(contents[i]));
            assert_memory_equal(member->data, contents[i], member->size);
            assert_true(member->data >= archive.bytes && member->data < archive.bytes + archive.size);
        }
        assert_null(zip_find(&zip, "b"));
        assert_null(zip_find(&zip, ""));
        zip_free(&zip);
    }
}

static void refused(const struct archive *archive, enum error_code code, const char *part) {
    /* A block of its own, so that a read behind it is seen. */
    unsigned char *bytes = malloc(archive->size);
    memcpy(bytes, archive->bytes, archive->size);
    struct zip zip;
    struct error error = {0};
    bool read = zip_read(bytes, archive->size, &zip, &error);
    free(bytes);
    if (read) fail_msg("read in spite of: %s", part);
    if (error.code != code || !strstr(error.message, part)) fail_msg("expected \"%s\", got \"%s\"", part, error.message);
}

enum base { LOCAL, CENTRAL, END64, LOCATOR, END };

static void archives_that_lie_are_refused(void **state) {
    (void)state;
    static const struct {
        bool large;
        enum base base;
        size_t place;
        uint64_t value;
        int count;
        enum error_code code;
        const char *part;
    } cases[] = {
        {false, END, 0, 0, 4, ERROR_FORMAT, "without its end"},
        {false, END, 20, 1, 2, ERROR_FORMAT, "without its end"},
        {false, END, 16, 0xfffffff0, 4, ERROR_FORMAT, "outside the file"},
        {false, END, 12, 0xfffffff0, 4, ERROR_FORMAT, "outside the file"},
        {false, END, 10, 3, 2, ERROR_FORMAT, "too short"},
        {false, END, 16, 1, 4, ERROR_FORMAT, "damaged"},
        {true, LOCATOR, 8, UINT64_MAX, 8, ERROR_FORMAT, "64-bit end record"},
        {true, LOCATOR, 8, 1, 8, ERROR_FORMAT, "64-bit end record"},
        {true, END64, 32, UINT64_MAX, 8, ERROR_LIMIT, "files are in the archive"},
        {true, END64, 32, 200000, 8, ERROR_FORMAT, "too short"},
        {true, END64, 40, UINT64_MAX, 8, ERROR_FORMAT, "outside the file"},
        {true, END64, 48, UINT64_MAX, 8, ERROR_FORMAT, "outside the file"},
        {true, CENTRAL, 30, 33, 2, ERROR_FORMAT, "missing"},
        {true, CENTRAL, 46 + 6 + 6, 2, 2, ERROR_FORMAT, "missing"},
        {true, CENTRAL, 46 + 6 + 8, 16, 2, ERROR_FORMAT, "cut"},
        {true, CENTRAL, 46 + 6 + 26, UINT64_MAX, 8, ERROR_FORMAT, "begins outside"},
        {true, CENTRAL, 46 + 6 + 10, 7, 8, ERROR_FORMAT, "two sizes differ"},
        {false, CENTRAL, 0, 0, 4, ERROR_FORMAT, "damaged"},
        {false, CENTRAL, 8, 1, 2, ERROR_UNSUPPORTED, "encrypted"},
        {false, CENTRAL, 10, 8, 2, ERROR_UNSUPPORTED, "b/long is compressed"},
        {false, CENTRAL, 20, 4, 4, ERROR_FORMAT, "two sizes differ"},
        {false, CENTRAL, 28, 60000, 2, ERROR_FORMAT, "ends inside a record"},
        {false, CENTRAL, 42, 4000, 4, ERROR_FORMAT, "begins outside"},
        {false, CENTRAL, 42, 1, 4, ERROR_FORMAT, "something else"},
        {false, LOCAL, 0, 0, 4, ERROR_FORMAT, "something else"},
        {false, LOCAL, 26, 5, 2, ERROR_FORMAT, "something else"},
        {false, LOCAL, 30, 'x', 1, ERROR_FORMAT, "something else"},
        {false, LOCAL, 28, 60000, 2, ERROR_FORMAT, "something else"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct archive archive = make(cases[i].large);
        const size_t bases[] = {archive.local[0], archive.central[0], archive.end64, archive.locator, archive.end};
        patch(&archive, bases[cases[i].base] + cases[i].place, cases[i].value, cases[i].count);
        refused(&archive, cases[i].code, cases[i].part);
    }
    /* A member that ends beyond the directory; two of one name. */
    struct archive archive = make(false);
    patch(&archive, archive.central[0] + 20, 3000, 4);
    patch(&archive, archive.central[0] + 24, 3000, 4);
    refused(&archive, ERROR_FORMAT, "b/long ends outside");
    archive = make(false);
    memcpy(archive.bytes + archive.central[1], archive.bytes + archive.central[0], 47);
    patch(&archive, archive.end + 12, 52 + 52, 4);
    memmove(archive.bytes + archive.central[1] + 52, archive.bytes + archive.end, 22);
    memcpy(archive.bytes + archive.central[1], archive.bytes + archive.central[0], 52);
    archive.size = archive.central[1] + 52 + 22;
    refused(&archive, ERROR_FORMAT, "b/long is in the archive twice");
}

static void cut_archives_are_refused(void **state) {
    (void)state;
    for (int large = 0; large < 2; large++) {
        struct archive archive = make(large);
        for (; archive.size > 0; archive.size--) {
            struct archive cut = archive;
            if (--cut.size) refused(&cut, ERROR_FORMAT, "without its end");
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_where_they_lie),
        cmocka_unit_test(archives_that_lie_are_refused),
        cmocka_unit_test(cut_archives_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
