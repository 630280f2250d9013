/* Thumbnails: small, the right way up, of pictures alone, and no longer there than what they show. */
#include "base/memory.h"
#include "image/image.h"
#include "service/thumbnails.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    struct blobs *blobs;
    struct thumbnails *thumbnails;
};

static int set_up(void **state) {
    struct fixture *fixture = memory_zero(sizeof *fixture);
    snprintf(fixture->folder, sizeof fixture->folder, "/tmp/thumbnails-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    assert_true(blobs_open(fixture->folder, &fixture->blobs, NULL));
    fixture->thumbnails = thumbnails_create();
    assert_non_null(fixture->thumbnails);
    *state = fixture;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *fixture = *state;
    thumbnails_free(fixture->thumbnails);
    blobs_close(fixture->blobs);
    char *command = memory_format("rm -rf '%s'", fixture->folder);
    int status = system(command);
    memory_free(command);
    memory_free(fixture);
    return status;
}

/* Red left, blue right. */
static void halves(struct image *image, size_t width, size_t height) {
    assert_true(image_create(image, width, height, IMAGE_RGB, NULL));
    for (size_t i = 0; i < width * height; i++) {
        bool left = i % width < width / 2;
        memcpy(image->pixels + 3 * i, left ? "\xff\0\0" : "\0\0\xff", 3);
    }
}

static void put(struct fixture *fixture, const void *data, size_t length, char name[101]) {
    assert_true(blob_put(fixture->blobs, ".bin", data, length, name, NULL));
}

static void put_picture(struct fixture *fixture, size_t width, size_t height, char name[101]) {
    struct image image;
    struct buffer file;
    halves(&image, width, height);
    buffer_init(&file, (size_t)16 << 20);
    assert_true(image_encode_png(&image, NULL, &file, NULL));
    put(fixture, file.data, file.length, name);
    buffer_free(&file);
    image_free(&image);
}

static void get(struct fixture *fixture, const char *name, int side, struct image *small) {
    struct buffer jpeg;
    struct error error;
    buffer_init(&jpeg, THUMBNAIL_BYTES_MAX);
    if (!thumbnail_get(fixture->thumbnails, fixture->blobs, name, side, &jpeg, &error)) fail_msg("%s", error.message);
    assert_int_equal(image_sniff(jpeg.data, jpeg.length), IMAGE_JPEG);
    assert_true(image_decode(jpeg.data, jpeg.length, &image_limits_default, small, NULL, NULL));
    buffer_free(&jpeg);
}

static enum error_code refused(struct fixture *fixture, const char *name, int side) {
    struct buffer jpeg;
    struct error error = {.code = ERROR_NONE};
    buffer_init(&jpeg, THUMBNAIL_BYTES_MAX);
    assert_false(thumbnail_get(fixture->thumbnails, fixture->blobs, name, side, &jpeg, &error));
    assert_true(error.message[0] != 0);
    buffer_free(&jpeg);
    return error.code;
}

static void test_sizes(void **state) {
    static const struct {
        size_t width, height;
        int side;
        size_t small_width, small_height;
    } cases[] = {
        {600, 300, 256, 256, 128}, {300, 600, 100, 50, 100}, {40, 30, 256, 40, 30}, {5000, 8, 16, 16, 1}, {512, 512, 512, 512, 512}};
    char name[101];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image small;
        put_picture(*state, cases[i].width, cases[i].height, name);
        get(*state, name, cases[i].side, &small);
        assert_int_equal(small.width, cases[i].small_width);
        assert_int_equal(small.height, cases[i].small_height);
        assert_true(small.pixels[0] > 200 && small.pixels[3 * (small.width - 1) + 2] > 200);
        image_free(&small);
    }
}

static void test_turned(void **state) {
    /* EXIF orientation 6: the first column is the top. */
    static const unsigned char exif[] = "\xff\xe1\0\x22"
                                        "Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    struct image image, small;
    struct buffer plain, turned;
    char name[101];
    halves(&image, 400, 200);
    buffer_init(&plain, 1 << 20);
    buffer_init(&turned, 1 << 20);
    assert_true(image_encode_jpeg(&image, 95, &plain, NULL));
    buffer_append(&turned, plain.data, 2);
    buffer_append(&turned, exif, sizeof exif - 1);
    assert_true(buffer_append(&turned, plain.data + 2, plain.length - 2));
    put(*state, turned.data, turned.length, name);
    get(*state, name, 100, &small);
    assert_int_equal(small.width, 50);
    assert_int_equal(small.height, 100);
    const uint8_t *top = small.pixels + 3 * (10 * 50 + 25), *bottom = small.pixels + 3 * (90 * 50 + 25);
    assert_true(top[0] > 200 && top[2] < 60 && bottom[2] > 200 && bottom[0] < 60);
    image_free(&small);
    image_free(&image);
    buffer_free(&plain);
    buffer_free(&turned);
}

static void test_refused(void **state) {
    struct fixture *fixture = *state;
    char name[101];
    put(fixture, "hello", 5, name);
    enum error_code code = refused(fixture, name, 100);
    assert_true(code == ERROR_FORMAT || code == ERROR_UNSUPPORTED);
    put(fixture, "", 0, name);
    code = refused(fixture, name, 100);
    assert_true(code == ERROR_FORMAT || code == ERROR_UNSUPPORTED);
    assert_int_equal(refused(fixture, "0123456789abcdef.png", 100), ERROR_NOT_FOUND);
    assert_int_equal(refused(fixture, "../../etc/passwd", 100), ERROR_NOT_FOUND);

    /* Rows of zeros pack to nothing: the size that a file claims decides, before memory is taken. */
    struct image image;
    struct buffer file;
    assert_true(image_create(&image, 9000, 9000, IMAGE_GREY, NULL));
    memset(image.pixels, 0, image.width * image.height);
    buffer_init(&file, (size_t)16 << 20);
    assert_true(image_encode_png(&image, NULL, &file, NULL));
    put(fixture, file.data, file.length, name);
    buffer_free(&file);
    image_free(&image);
    assert_int_equal(refused(fixture, name, 100), ERROR_LIMIT);

    put_picture(fixture, 100, 100, name);
    char *damaged;
    size_t length;
    assert_true(blob_read(fixture->blobs, name, 1 << 20, &damaged, &length, NULL));
    put(fixture, damaged, length / 2, name);
    memory_free(damaged);
    assert_int_equal(refused(fixture, name, 100), ERROR_FORMAT);
}

static void test_kept_and_forgotten(void **state) {
    struct fixture *fixture = *state;
    struct image small;
    struct buffer jpeg;
    char name[101];
    put_picture(fixture, 1000, 700, name);
    buffer_init(&jpeg, THUMBNAIL_BYTES_MAX);
    memory_fail_at(0, 0);
    assert_true(thumbnail_get(fixture->thumbnails, fixture->blobs, name, 64, &jpeg, NULL));
    size_t made = memory_calls(), length = jpeg.length;
    memory_fail_at(0, 0);
    assert_true(thumbnail_get(fixture->thumbnails, fixture->blobs, name, 64, &jpeg, NULL));
    assert_true(memory_calls() < made / 2);
    assert_int_equal(jpeg.length, 2 * length);
    assert_memory_equal(jpeg.data, jpeg.data + length, length);
    buffer_free(&jpeg);
    /* More than are kept: each is right, the first one again too. */
    for (int side = THUMBNAIL_SIDE_MIN; side <= THUMBNAIL_SIDE_MAX; side++) {
        get(fixture, name, side, &small);
        assert_int_equal(small.width, side);
        image_free(&small);
    }
    char other[101];
    put_picture(fixture, 30, 20, other);
    for (int side = 32; side < 132; side++) {
        get(fixture, other, side, &small);
        image_free(&small);
    }
    get(fixture, name, 64, &small);
    assert_int_equal(small.width, 64);
    image_free(&small);
    assert_true(blob_delete(fixture->blobs, name, NULL));
    assert_int_equal(refused(fixture, name, 64), ERROR_NOT_FOUND);
}

static void test_out_of_memory(void **state) {
    struct fixture *fixture = *state;
    char name[101];
    put_picture(fixture, 300, 200, name);
    for (size_t n = 1;; n++) {
        struct buffer jpeg;
        buffer_init(&jpeg, THUMBNAIL_BYTES_MAX);
        memory_fail_at(n, 0);
        bool fine = thumbnail_get(fixture->thumbnails, fixture->blobs, name, 50, &jpeg, NULL);
        bool reached = memory_calls() >= n;
        memory_fail_at(0, 0);
        buffer_free(&jpeg);
        assert_true(n < 10000);
        if (!reached) {
            assert_true(fine);
            break;
        }
    }
    struct image small;
    get(fixture, name, 60, &small); /* none of the failures left a place taken */
    image_free(&small);
}

struct asker {
    struct fixture *fixture;
    const char *name;
    int fine, busy;
};

static void *ask(void *user) {
    struct asker *asker = user;
    for (int i = 0; i < 40; i++) {
        struct buffer jpeg;
        struct error error;
        buffer_init(&jpeg, THUMBNAIL_BYTES_MAX);
        if (thumbnail_get(asker->fixture->thumbnails, asker->fixture->blobs, asker->name, 20 + i, &jpeg, &error))
            asker->fine++;
        else if (error.code == ERROR_CONFLICT)
            asker->busy++;
        buffer_free(&jpeg);
    }
    return NULL;
}

static void test_many_at_once(void **state) {
    enum { THREADS = 6 };
    char name[101];
    pthread_t threads[THREADS];
    struct asker askers[THREADS];
    int fine = 0, busy = 0;
    put_picture(*state, 900, 900, name);
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.fixture = *state, .name = name};
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        fine += askers[i].fine;
        busy += askers[i].busy;
    }
    assert_int_equal(fine + busy, THREADS * 40); /* nothing else went wrong */
    assert_true(fine > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_turned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_and_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_out_of_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
