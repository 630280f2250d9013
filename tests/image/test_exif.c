#include "image/decode.h"

#include "support.h"

struct entry {
    uint16_t tag, type;
    uint32_t count, value;
};

struct block {
    bool big_endian;
    size_t length;
    uint8_t bytes[256];
};

static void put(struct block *block, uint32_t value, int bytes) {
    for (int i = 0; i < bytes; i++) block->bytes[block->length++] = (uint8_t)(value >> 8 * (block->big_endian ? bytes - 1 - i : i));
}

static struct block make(bool big_endian, bool prefix, uint32_t directory, const struct entry *entries, size_t count) {
    struct block block = {.big_endian = big_endian};
    if (prefix) memcpy(block.bytes, "Exif\0\0", block.length = 6);
    put(&block, big_endian ? 0x4D4D : 0x4949, 2);
    put(&block, 42, 2);
    put(&block, directory, 4);
    put(&block, (uint32_t)count, 2);
    for (size_t i = 0; i < count; i++) {
        put(&block, entries[i].tag, 2);
        put(&block, entries[i].type, 2);
        put(&block, entries[i].count, 4);
        put(&block, entries[i].value, entries[i].type == 3 ? 2 : 4);
        if (entries[i].type == 3) put(&block, 0, 2);
    }
    put(&block, 0, 4);
    return block;
}

static void both_byte_orders_are_read(void **state) {
    (void)state;
    for (uint32_t value = 1; value <= 8; value++) {
        const struct entry entries[] = {{0x010F, 2, 4, 0x41424344}, {0x0112, value % 2 ? 3 : 4, 1, value}, {0x0128, 3, 1, 2}};
        for (int form = 0; form < 4; form++) {
            struct block block = make(form & 1, form & 2, 8, entries, 3);
            assert_int_equal(exif_orientation(block.bytes, block.length), value);
        }
    }
}

static void nonsense_means_upright(void **state) {
    (void)state;
    const struct entry nine = {0x0112, 3, 1, 9}, zero = {0x0112, 3, 1, 0}, many = {0x0112, 3, 2, 6}, text = {0x0112, 2, 1, 6},
                       good = {0x0112, 3, 1, 6};
    const struct entry *wrong[] = {&nine, &zero, &many, &text};
    for (size_t i = 0; i < 4; i++) {
        struct block block = make(true, false, 8, wrong[i], 1);
        assert_int_equal(exif_orientation(block.bytes, block.length), 1);
    }
    static const uint32_t directories[] = {0, 4, 25, 26, 27, 1000, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        struct block block = make(false, false, directories[i], &good, 1);
        assert_int_equal(exif_orientation(block.bytes, block.length), 1);
    }
    struct block block = make(false, false, 8, &good, 1);
    block.bytes[0] = 'X';
    assert_int_equal(exif_orientation(block.bytes, block.length), 1);
    assert_int_equal(exif_orientation(block.bytes, 0), 1);
}

/* Each cut in a block of its own, so that the address sanitizer sees its end; more entries claimed
 * than there are. */
static void cut_off_blocks_are_read_as_far_as_they_go(void **state) {
    (void)state;
    const struct entry entries[] = {{0x010F, 2, 4, 0x41424344}, {0x0112, 3, 1, 6}};
    for (int form = 0; form < 4; form++) {
        struct block block = make(form & 1, form & 2, 8, entries, 2);
        size_t start = form & 2 ? 6 : 0, whole = start + 10 + 24;
        block.bytes[start + 8 + (form & 1 ? 0 : 1)] = 0xFF; /* the count's high byte */
        for (size_t cut = 0; cut <= block.length; cut++) {
            uint8_t *part = memory_alloc(cut);
            memcpy(part, block.bytes, cut);
            assert_int_equal(exif_orientation(part, cut), cut >= whole ? 6 : 1);
            memory_free(part);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_byte_orders_are_read),
        cmocka_unit_test(nonsense_means_upright),
        cmocka_unit_test(cut_off_blocks_are_read_as_far_as_they_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
