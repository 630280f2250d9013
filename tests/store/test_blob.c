/* Blobs: what goes in comes out, whole or not at all. In a folder, or in S3 when INPAINT_TEST_S3 names a
 * bucket (run_s3.sh starts a server). */
#include "fixture.h"
#include "s3_fixture.h"
#include "store/sweep.h"

#include "faults.h"

#include <sys/time.h>

struct blob_fixture {
    char folder[64];
    struct blobs *blobs;
};

static int open_blobs(void **state) {
    struct blob_fixture *fixture = memory_zero(sizeof *fixture);
    char url[512];
    make_folder(fixture->folder);
    if (test_s3()) make_s3_url(url);
    ASSERT_OK(blobs_open(test_s3() ? url : fixture->folder, &fixture->blobs, error));
    *state = fixture;
    return 0;
}

static int close_blobs(void **state) {
    struct blob_fixture *fixture = *state;
    blobs_close(fixture->blobs);
    remove_folder(fixture->folder);
    memory_free(fixture);
    return 0;
}

static size_t count_files(const char *folder) {
    size_t count = 0;
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) {
        if (entry->d_name[0] == '.') continue;
        char *path = memory_format("%s/%s", folder, entry->d_name);
        count += entry->d_type == DT_DIR ? count_files(path) : 1;
        memory_free(path);
    }
    if (listing) closedir(listing);
    return count;
}

static bool on_counted(void *user, const char *name, uint64_t size, int64_t modified) {
    (void)size;
    (void)name, (void)modified;
    ++*(size_t *)user;
    return true;
}

/* Of all that is there, unfinished things too where they can be seen. */
static size_t count_stored(struct blob_fixture *fixture) {
    size_t count = 0;
    if (!test_s3()) return count_files(fixture->folder);
    ASSERT_OK(blobs_each(fixture->blobs, on_counted, &count, error));
    return count;
}

static void expect_content(struct blobs *blobs, const char *name, const char *expected, size_t expected_length) {
    char *data;
    size_t length;
    ASSERT_OK(blob_read(blobs, name, 1 << 24, &data, &length, error));
    assert_int_equal(length, expected_length);
    assert_memory_equal(data, expected, length);
    assert_int_equal(data[length], 0);
    memory_free(data);
}

static void test_put_and_read(void **state) {
    struct blobs *blobs = ((struct blob_fixture *)*state)->blobs;
    char name[101], other[101];
    int descriptor;
    size_t size;
    int64_t modified, before = time_wall() - 2000000;
    ASSERT_OK(blob_put(blobs, ".png", "hello", 5, name, error));
    ASSERT_OK(blob_put(blobs, "", "", 0, other, error));
    assert_string_not_equal(name, other);
    assert_true(blob_name_valid(name) && blob_name_valid(other));
    assert_string_equal(name + strlen(name) - 4, ".png");
    expect_content(blobs, name, "hello", 5);
    expect_content(blobs, other, "", 0);
    ASSERT_OK(blob_open(blobs, name, &descriptor, &size, &modified, error));
    assert_int_equal(size, 5);
    assert_true(modified >= before && modified <= time_wall());
    close(descriptor);
    ASSERT_OK(blob_open(blobs, name, &descriptor, &size, NULL, error));
    close(descriptor);
}

static void test_pieces(void **state) {
    struct blobs *blobs = ((struct blob_fixture *)*state)->blobs;
    enum { SIZE = 300000 };
    char *data = memory_alloc(SIZE), name[101];
    struct blob_writer *writer;
    for (size_t i = 0; i < SIZE; i++) data[i] = (char)(i * 31 >> 3);
    ASSERT_OK(blob_begin(blobs, ".webp", &writer, error));
    for (size_t at = 0, piece = 1; at < SIZE; at += piece, piece = piece * 3 % 70001) {
        if (piece > SIZE - at) piece = SIZE - at;
        ASSERT_OK(blob_append(writer, data + at, piece, error));
    }
    ASSERT_OK(blob_commit(writer, name, error));
    expect_content(blobs, name, data, SIZE);
    memory_free(data);
}

static void test_abandoned_leaves_nothing(void **state) {
    struct blob_fixture *fixture = *state;
    struct blob_writer *writer;
    ASSERT_OK(blob_begin(fixture->blobs, ".png", &writer, error));
    ASSERT_OK(blob_append(writer, "abc", 3, error));
    assert_int_equal(count_stored(fixture), test_s3() ? 0 : 1);
    blob_abandon(writer);
    blob_abandon(NULL);
    assert_int_equal(count_stored(fixture), 0);
}

static void test_delete(void **state) {
    struct blob_fixture *fixture = *state;
    char name[101], *data;
    size_t length;
    ASSERT_OK(blob_put(fixture->blobs, ".png", "hello", 5, name, error));
    ASSERT_OK(blob_delete(fixture->blobs, name, error));
    ASSERT_OK(blob_delete(fixture->blobs, name, error));
    ASSERT_OK(blob_delete(fixture->blobs, "../../x", error));
    ASSERT_ERROR(ERROR_NOT_FOUND, blob_read(fixture->blobs, name, 100, &data, &length, error));
    assert_int_equal(count_stored(fixture), 0);
}

static void test_limit(void **state) {
    struct blobs *blobs = ((struct blob_fixture *)*state)->blobs;
    char name[101], *data;
    size_t length;
    ASSERT_OK(blob_put(blobs, "", "hello", 5, name, error));
    ASSERT_OK(blob_read(blobs, name, 5, &data, &length, error));
    memory_free(data);
    ASSERT_ERROR(ERROR_LIMIT, blob_read(blobs, name, 4, &data, &length, error));
    assert_null(data);
}

static void test_names(void **state) {
    struct blobs *blobs = ((struct blob_fixture *)*state)->blobs;
    char longest[102], *data;
    size_t length;
    memset(longest, 'a', sizeof longest - 1);
    longest[101] = 0;
    static const char *const bad[] = {"",        "abc",    "..",    "../x",     "ab/cdef", "/etc/passwd", "ABCD",
                                      "abcd/..", "abcd\n", ".abcd", "tmp/abcd", "ab.cd",   "abc\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(blob_name_valid(bad[i]));
        ASSERT_ERROR(ERROR_NOT_FOUND, blob_read(blobs, bad[i], 100, &data, &length, error));
    }
    assert_false(blob_name_valid(NULL));
    assert_false(blob_name_valid(longest));
    assert_true(blob_name_valid(longest + 1));
    assert_true(blob_name_valid("abcd..png"));
    char name[101];
    ASSERT_ERROR(ERROR_INTERNAL, blob_put(blobs, "/x", "a", 1, name, error));
    ASSERT_ERROR(ERROR_INTERNAL, blob_put(blobs, ".PNG", "a", 1, name, error));
}

/* A link or a folder in a blob's place is none. */
static void test_strange_files(void **state) {
    if (test_s3()) skip();
    struct blob_fixture *fixture = *state;
    char name[101], *data;
    size_t length;
    ASSERT_OK(blob_put(fixture->blobs, "", "x", 1, name, error));
    char *folder = memory_format("%s/%.2s/%.2s", fixture->folder, name, name + 2), *link_path = memory_format("%s/%.4slink", folder, name),
         *inner = memory_format("%s/%.4sfolder", folder, name);
    assert_int_equal(symlink("/etc/passwd", link_path), 0);
    assert_int_equal(mkdir(inner, 0700), 0);
    ASSERT_ERROR(ERROR_IO, blob_read(fixture->blobs, strrchr(link_path, '/') + 1, 1 << 20, &data, &length, error));
    ASSERT_ERROR(ERROR_IO, blob_read(fixture->blobs, strrchr(inner, '/') + 1, 1 << 20, &data, &length, error));
    memory_free(folder);
    memory_free(link_path);
    memory_free(inner);
}

/* What a crash left in tmp/ goes when it is a day old; what is younger may still be written to. */
static void test_leftovers(void **state) {
    if (test_s3()) skip();
    struct blob_fixture *fixture = *state;
    static const char *const names[] = {"old.part", "young.part"};
    for (int i = 0; i < 2; i++) {
        char *path = memory_format("%s/tmp/%s", fixture->folder, names[i]);
        struct timeval times[2] = {{time_wall() / 1000000 - (i ? 80000 : 90000), 0}, {time_wall() / 1000000 - (i ? 80000 : 90000), 0}};
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fclose(file);
        assert_int_equal(utimes(path, times), 0);
        memory_free(path);
    }
    struct blobs *again;
    ASSERT_OK(blobs_open(fixture->folder, &again, error));
    blobs_close(again);
    assert_int_equal(count_files(fixture->folder), 1);
}

static void test_places_that_can_not_be(void **state) {
    if (test_s3()) skip();
    struct blob_fixture *fixture = *state;
    struct blobs *blobs;
    char *path = memory_format("%s/file", fixture->folder);
    FILE *file = fopen(path, "w");
    fclose(file);
    ASSERT_ERROR(ERROR_UNSUPPORTED, blobs_open("ftp://host/x", &blobs, error));
    ASSERT_ERROR(ERROR_ARGUMENT, blobs_open("", &blobs, error));
    struct error problem = {.code = ERROR_NONE};
    assert_false(blobs_open(path, &blobs, &problem));
    assert_null(blobs);
    memory_free(path);
}

/* Every system call fails once, and then from there on: no blob is promised that is not there, and no
 * part of one stays. */
static void fail_each_call(struct blob_fixture *fixture, int number, bool for_ever, enum error_code expected) {
    bool hit = true;
    long n = 0;
    while (hit) {
        char name[101];
        struct error problem = {.code = ERROR_NONE};
        size_t before = count_files(fixture->folder);
        fault_at(++n, number, for_ever);
        bool ok = blob_put(fixture->blobs, ".png", "hello", 5, name, &problem);
        hit = fault_hit();
        fault_off();
        if (ok) {
            expect_content(fixture->blobs, name, "hello", 5);
            ASSERT_OK(blob_delete(fixture->blobs, name, error));
        } else if (problem.code != expected) {
            fail_msg("call %ld failing with %d: %s (%s)", n, number, problem.message, error_name(problem.code));
        }
        if (!for_ever) assert_int_equal(count_files(fixture->folder), before);
        assert_true(hit || ok);
        assert_true(n < 100);
    }
    assert_true(n > 8); /* the calls were seen at all */
}

static void test_failing_calls(void **state) {
    if (test_s3()) skip();
    struct blob_fixture *fixture = *state;
    fail_each_call(fixture, EIO, false, ERROR_IO);
    fail_each_call(fixture, EIO, true, ERROR_IO);
    fail_each_call(fixture, ENOSPC, false, ERROR_FULL);
    fail_each_call(fixture, ENOSPC, true, ERROR_FULL);
    fail_each_call(fixture, EINTR, false, ERROR_IO);
    fail_each_call(fixture, FAULT_SHORT, false, ERROR_NONE);
}

static void test_failing_allocations(void **state) {
    if (test_s3()) skip();
    struct blob_fixture *fixture = *state;
    char name[101], *data;
    size_t length;
    struct error problem = {.code = ERROR_NONE};
    memory_fail_at(1, 0);
    assert_false(blob_put(fixture->blobs, ".png", "hello", 5, name, &problem));
    assert_int_equal(problem.code, ERROR_MEMORY);
    ASSERT_OK(blob_put(fixture->blobs, ".png", "hello", 5, name, error));
    memory_fail_at(1, 0);
    ASSERT_ERROR(ERROR_MEMORY, blob_read(fixture->blobs, name, 100, &data, &length, error));
    memory_fail_at(0, 0);
    assert_int_equal(count_files(fixture->folder), 1);
}

/* ---- what nobody refers to ---- */

struct visited {
    size_t count, stop_after;
    char names[8][101];
};

static bool on_visit(void *user, const char *name, uint64_t size, int64_t modified) {
    (void)size;
    struct visited *visited = user;
    assert_true(modified <= time_wall() && modified > time_wall() - 60000000);
    assert_true(visited->count < 8);
    snprintf(visited->names[visited->count++], 101, "%s", name);
    return visited->count != visited->stop_after;
}

static void test_visits_all(void **state) {
    struct blob_fixture *fixture = *state;
    struct visited visited = {.count = 0};
    struct blob_writer *writer;
    char names[5][101];
    ASSERT_OK(blobs_each(fixture->blobs, on_visit, &visited, error));
    assert_int_equal(visited.count, 0);
    for (size_t i = 0; i < 5; i++) ASSERT_OK(blob_put(fixture->blobs, ".png", "x", 1, names[i], error));
    ASSERT_OK(blob_begin(fixture->blobs, ".png", &writer, error)); /* not one yet */
    ASSERT_OK(blobs_each(fixture->blobs, on_visit, &visited, error));
    assert_int_equal(visited.count, 5);
    for (size_t i = 0; i < 5; i++) {
        size_t found = 0;
        for (size_t j = 0; j < 5; j++) found += strcmp(names[i], visited.names[j]) == 0;
        assert_int_equal(found, 1);
    }
    blob_abandon(writer);
    visited = (struct visited){.stop_after = 2};
    ASSERT_OK(blobs_each(fixture->blobs, on_visit, &visited, error));
    assert_int_equal(visited.count, 2);
}

static void test_sweep(void **state) {
    struct blob_fixture *fixture = *state;
    struct fixture place;
    struct prediction prediction = make_prediction();
    struct stored_file file = {.id = "file", .created = 1};
    char input[101], output[101], preview[101], orphan[101], upload[101];
    char *const names[] = {input, output, preview, orphan, upload};
    size_t deleted;
    make_folder(place.folder);
    make_store_url(place.folder, place.url);
    ASSERT_OK(store_open(place.url, &place.store, error));
    for (size_t i = 0; i < 5; i++) ASSERT_OK(blob_put(fixture->blobs, ".png", "x", 1, names[i], error));
    json_object_set_new(prediction.input, "_image", json_sprintf("blob:%s", input));
    create_prediction(place.store, &prediction, NULL);
    struct lease lease = claim_this(place.store, prediction.id, 60);
    finish_with(place.store, &lease, output);
    create_plain(place.store, prediction.id);
    lease = claim_this(place.store, prediction.id, 60);
    ASSERT_OK(store_preview(place.store, &lease, preview, error));
    file.name = file.content_type = memory_string("x");
    file.blob = upload;
    ASSERT_OK(store_file_create(place.store, &file, error));

    ASSERT_OK(store_sweep(place.store, fixture->blobs, time_wall() - 60000000, &deleted, error)); /* all are too young */
    assert_int_equal(deleted, 0);
    ASSERT_OK(store_sweep(place.store, fixture->blobs, time_wall() + 1000000, &deleted, error));
    assert_int_equal(deleted, 1);
    for (size_t i = 0; i < 5; i++) {
        char *data;
        size_t length;
        bool there = blob_read(fixture->blobs, names[i], 10, &data, &length, NULL);
        assert_int_equal(there, names[i] != orphan);
        memory_free(data);
    }
    memory_free(file.name);
    prediction_free(&prediction);
    store_close(place.store);
    remove_folder(place.folder);
}

#define BLOB_TEST(test)   cmocka_unit_test_setup_teardown(test, open_blobs, close_blobs)
#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, test_s3() ? NULL : open_blobs, test_s3() ? NULL : close_blobs)

int main(void) {
    const struct CMUnitTest tests[] = {
        BLOB_TEST(test_put_and_read),
        BLOB_TEST(test_pieces),
        BLOB_TEST(test_abandoned_leaves_nothing),
        BLOB_TEST(test_delete),
        BLOB_TEST(test_limit),
        BLOB_TEST(test_names),
        FOLDER_TEST(test_strange_files),
        FOLDER_TEST(test_leftovers),
        FOLDER_TEST(test_places_that_can_not_be),
        FOLDER_TEST(test_failing_calls),
        FOLDER_TEST(test_failing_allocations),
        BLOB_TEST(test_visits_all),
        BLOB_TEST(test_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
