/* Pickles by hand: what the reader builds, and what it refuses. */
#include "base/memory.h"
#include "weights/pickle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text {
    const char *bytes;
    size_t size;
};
#define TEXT(literal)                                                                                                                      \
    { literal, sizeof literal - 1 }

static struct pickle *read_text(const char *bytes, size_t size) {
    struct pickle *pickle;
    struct error error = {0};
    if (!pickle_read((const unsigned char *)bytes, size, &pickle, &error)) fail_msg("%s", error.message);
    return pickle;
}
#define READ(literal) read_text(literal, sizeof literal - 1)

static void numbers_and_strings(void **state) {
    (void)state;
    static const struct {
        struct text text;
        enum pickle_kind kind;
        int64_t integer;
    } cases[] = {
        {TEXT("N."), PICKLE_NONE, 0},
        {TEXT("\x80\x02\x88."), PICKLE_BOOL, 1},
        {TEXT("\x89."), PICKLE_BOOL, 0},
        {TEXT("K\xff."), PICKLE_INTEGER, 255},
        {TEXT("M\x01\x02."), PICKLE_INTEGER, 513},
        {TEXT("J\xff\xff\xff\xff."), PICKLE_INTEGER, -1},
        {TEXT("\x8a\x00."), PICKLE_INTEGER, 0},
        {TEXT("\x8a\x01\x80."), PICKLE_INTEGER, -128},
        {TEXT("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f."), PICKLE_INTEGER, INT64_MAX},
        {TEXT("\x95\0\0\0\0\0\0\0\0K\x05."), PICKLE_INTEGER, 5},
        {TEXT("K\x01K\x02\x30."), PICKLE_INTEGER, 1},
        {TEXT("K\x01(K\x02\x31."), PICKLE_INTEGER, 1},
        {TEXT("K\x07q\x00\x30h\x00."), PICKLE_INTEGER, 7},
        {TEXT("K\x07\x94\x30j\0\0\0\0."), PICKLE_INTEGER, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pickle *pickle = read_text(cases[i].text.bytes, cases[i].text.size);
        assert_int_equal(pickle_root(pickle).kind, cases[i].kind);
        assert_true(pickle_root(pickle).integer == cases[i].integer);
        pickle_free(pickle);
    }
    struct pickle *pickle = READ("G\x3f\xe0\0\0\0\0\0\0.");
    assert_true(pickle_root(pickle).kind == PICKLE_NUMBER && pickle_root(pickle).number == 0.5);
    pickle_free(pickle);
    static const struct text texts[] = {TEXT("X\x02\0\0\0ab."),
                                        TEXT("\x8c\x02"
                                             "ab."),
                                        TEXT("\x8d\x02\0\0\0\0\0\0\0ab."),
                                        TEXT("U\x02"
                                             "ab."),
                                        TEXT("T\x02\0\0\0ab.")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        pickle = read_text(texts[i].bytes, texts[i].size);
        assert_true(pickle_is_text(pickle_root(pickle), "ab"));
        assert_false(pickle_is_text(pickle_root(pickle), "a"));
        pickle_free(pickle);
    }
}

static void containers(void **state) {
    (void)state;
    /* {1: (2,), 3: [4, 5]}, made in several ways */
    static const struct text texts[] = {
        TEXT("}(K\x01K\x02\x85K\x03]K\x04"
             "aK\x05"
             "au."),
        TEXT("}K\x01(K\x02ts(K\x03(K\x04K\x05lu."),
        TEXT("(K\x01K\x02\x85K\x03](K\x04K\x05"
             "ed."),
        TEXT("ccollections\nOrderedDict\n)R(K\x01K\x02\x85K\x03](K\x04K\x05"
             "eu."),
        TEXT("\x8c\x0b"
             "collections\x8c\x0bOrderedDict\x93)R(K\x01K\x02\x85K\x03](K\x04K\x05"
             "eu}b."),
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct pickle *pickle = read_text(texts[i].bytes, texts[i].size);
        struct pickle_value key, value, inner;
        size_t cursor = 0, inside = 0;
        assert_int_equal(pickle_root(pickle).kind, PICKLE_DICT);
        assert_true(pickle_next(pickle, pickle_root(pickle), &cursor, &key, &value));
        assert_true(key.integer == 1 && value.kind == PICKLE_TUPLE);
        assert_true(pickle_next(pickle, value, &inside, &key, &inner));
        assert_true(inner.integer == 2);
        assert_false(pickle_next(pickle, value, &inside, &key, &inner));
        assert_true(pickle_next(pickle, pickle_root(pickle), &cursor, &key, &value));
        assert_true(key.integer == 3 && value.kind == PICKLE_LIST);
        inside = 0;
        for (int64_t want = 4; want <= 5; want++) {
            assert_true(pickle_next(pickle, value, &inside, &key, &inner));
            assert_true(inner.integer == want);
        }
        assert_false(pickle_next(pickle, value, &inside, &key, &inner));
        assert_false(pickle_next(pickle, pickle_root(pickle), &cursor, &key, &value));
        pickle_free(pickle);
    }
}

/* A storage of 6 f32, named "0"; then first element, sizes, strides. */
#define STORAGE                                                                                                                            \
    "(U\x07storagectorch\nFloatStorage\nU\x01"                                                                                             \
    "0U\x03"                                                                                                                               \
    "cpuK\x06tQ"
#define TENSOR(where) "ctorch._utils\n_rebuild_tensor_v2\n(" STORAGE where "\x89)tR."

static void tensors(void **state) {
    (void)state;
    struct pickle *pickle = READ(TENSOR("K\x00K\x02K\x03\x86K\x03K\x01\x86"));
    const struct pickle_tensor *tensor = pickle_tensor(pickle, pickle_root(pickle));
    assert_non_null(tensor);
    assert_true(tensor->contiguous && tensor->rank == 2 && tensor->shape[0] == 2 && tensor->shape[1] == 3 && tensor->first == 0);
    assert_true(tensor->storage.dtype == DTYPE_F32 && tensor->storage.count == 6 && pickle_is_text(tensor->storage.key, "0"));
    pickle_free(pickle);
    pickle = READ(TENSOR("K\x00K\x02K\x03\x86K\x01K\x02\x86"));
    assert_false(pickle_tensor(pickle, pickle_root(pickle))->contiguous);
    pickle_free(pickle);
    pickle = READ(TENSOR("K\x05))")); /* one number */
    assert_true(pickle_tensor(pickle, pickle_root(pickle))->contiguous);
    pickle_free(pickle);
    pickle = READ("N.");
    assert_null(pickle_tensor(pickle, pickle_root(pickle)));
    pickle_free(pickle);
}

#define HUGE "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"

static void what_is_wrong_is_said(void **state) {
    (void)state;
    static const struct {
        struct text text;
        enum error_code code;
        const char *part;
    } cases[] = {
        {TEXT(""), ERROR_FORMAT, "no end"},
        {TEXT("N"), ERROR_FORMAT, "no end"},
        {TEXT("."), ERROR_FORMAT, "value is missing"},
        {TEXT("(."), ERROR_FORMAT, "value is missing"},
        {TEXT("(0."), ERROR_FORMAT, "value is missing"},
        {TEXT("J\0\0"), ERROR_FORMAT, "ends too early"},
        {TEXT("X\xff\xff\xff\xff."), ERROR_FORMAT, "longer than what is left"},
        {TEXT("\x8d\xff\xff\xff\xff\xff\xff\xff\xff."), ERROR_FORMAT, "longer than what is left"},
        {TEXT("\x8a\x09\0\0\0\0\0\0\0\0\0."), ERROR_UNSUPPORTED, "9 bytes"},
        {TEXT("\x95\0."), ERROR_FORMAT, "ends too early"},
        {TEXT("h\0."), ERROR_FORMAT, "not remembered"},
        {TEXT("Nq\x05h\x04."), ERROR_FORMAT, "out of order"},
        {TEXT("Nr\xff\xff\xff\xff."), ERROR_FORMAT, "out of order"},
        {TEXT("Nr\xff\xff\x3f\x00."), ERROR_FORMAT, "out of order"},
        {TEXT("q\0."), ERROR_FORMAT, "value is missing"},
        {TEXT("t."), ERROR_FORMAT, "mark is missing"},
        {TEXT("1."), ERROR_FORMAT, "mark is missing"},
        {TEXT("\x85."), ERROR_FORMAT, "values are missing"},
        {TEXT("N(N\x86."), ERROR_FORMAT, "mark inside"},
        {TEXT("}(Nu."), ERROR_FORMAT, "key without a value"},
        {TEXT("(NNu."), ERROR_FORMAT, "nothing to add to"},
        {TEXT("(NNs."), ERROR_FORMAT, "no list or dictionary"},
        {TEXT("Na."), ERROR_FORMAT, "nothing to add to"},
        {TEXT("NNa."), ERROR_FORMAT, "no list or dictionary"},
        {TEXT(")(Ne."), ERROR_FORMAT, "no list or dictionary"},
        {TEXT("}(Ne."), ERROR_FORMAT, "no list or dictionary"},
        {TEXT("c"), ERROR_FORMAT, "line does not end"},
        {TEXT("cos\nsystem"), ERROR_FORMAT, "line does not end"},
        {TEXT("cos\nsystem\n(X\x02\0\0\0lstR."), ERROR_UNSUPPORTED, "asks for os.system"},
        {TEXT("cbuiltins\neval\n."), ERROR_UNSUPPORTED, "asks for builtins.eval"},
        {TEXT("ctorch\nload\n."), ERROR_UNSUPPORTED, "asks for torch.load"},
        {TEXT("ctorch._utils\n_rebuild_tensor_v2.__globals__\n."), ERROR_UNSUPPORTED, "asks for torch._utils._rebuild_tensor_v2.__glo"},
        {TEXT("\x8c\x02os\x8c\x06system\x93."), ERROR_UNSUPPORTED, "asks for os.system"},
        {TEXT("NN\x93."), ERROR_FORMAT, "name is no text"},
        {TEXT("c\x1b[2J\n\xff\n."), ERROR_UNSUPPORTED, "asks for ?[2J.?,"},
        {TEXT("(ios\nsystem\n."), ERROR_UNSUPPORTED, "opcode 0x69"},
        {TEXT("(cos\nsystem\no."), ERROR_UNSUPPORTED, "asks for os.system"},
        {TEXT("\x82\x01."), ERROR_UNSUPPORTED, "opcode 0x82"},
        {TEXT("\x8f."), ERROR_UNSUPPORTED, "opcode 0x8f"},
        {TEXT("I1\n."), ERROR_UNSUPPORTED, "opcode 0x49"},
        {TEXT("N)R."), ERROR_FORMAT, "no name"},
        {TEXT("ccollections\nOrderedDict\nNR."), ERROR_FORMAT, "without a tuple"},
        {TEXT("ccollections\nOrderedDict\nN\x85R."), ERROR_FORMAT, "longer than it may be"},
        {TEXT("ctorch\nFloatStorage\n)R."), ERROR_FORMAT, "storage is described by a call"},
        {TEXT("ctorch._utils\n_rebuild_tensor_v2\n)R."), ERROR_FORMAT, "shorter than it may be"},
        {TEXT("ctorch._utils\n_rebuild_parameter\nN\x85R."), ERROR_FORMAT, "no tensor"},
        {TEXT("N}b."), ERROR_UNSUPPORTED, "set attributes"},
        {TEXT("ctorch._utils\n_rebuild_parameter\n}b."), ERROR_UNSUPPORTED, "set attributes"},
        {TEXT("NQ."), ERROR_FORMAT, "without a tuple"},
        {TEXT("(NNNNNtQ."), ERROR_FORMAT, "not described as torch"},
        {TEXT("(U\x07storageccollections\nOrderedDict\nU\x01"
              "0U\x03"
              "cpuK\x06tQ."),
         ERROR_FORMAT, "not described as torch"},
        {TEXT("(U\x07storagectorch\nFloatStorage\nU\x01"
              "0U\x03"
              "cpuJ\xff\xff\xff\xfftQ."),
         ERROR_FORMAT, "not described as torch"},
        {TEXT(TENSOR("K\x01K\x02K\x03\x86K\x03K\x01\x86")), ERROR_FORMAT, "beyond its memory"},
        {TEXT(TENSOR(HUGE "K\x02K\x03\x86K\x03K\x01\x86")), ERROR_FORMAT, "beyond its memory"},
        {TEXT(TENSOR("K\x00" HUGE HUGE "\x86" HUGE "K\x01\x86")), ERROR_FORMAT, "larger than any memory"},
        {TEXT(TENSOR("K\x00" HUGE "\x85K\x01\x85")), ERROR_FORMAT, "beyond its memory"},
        {TEXT(TENSOR("K\x00J\xff\xff\xff\xff\x85K\x01\x85")), ERROR_FORMAT, "not made of sizes"},
        {TEXT(TENSOR("K\x00N\x85K\x01\x85")), ERROR_FORMAT, "not made of sizes"},
        {TEXT(TENSOR("K\x00K\x01\x85K\x01K\x01\x86")), ERROR_FORMAT, "longer than it may be"},
        {TEXT(TENSOR("K\x00(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01tK\x01\x85")), ERROR_FORMAT, "longer than it may be"},
        {TEXT(TENSOR("N))")), ERROR_FORMAT, "without a place"},
        {TEXT("ctorch._utils\n_rebuild_tensor_v2\n(NK\x00))\x89)tR."), ERROR_FORMAT, "without a place"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pickle *pickle = NULL;
        struct error error = {0};
        if (pickle_read((const unsigned char *)cases[i].text.bytes, cases[i].text.size, &pickle, &error)) fail_msg("case %zu was read", i);
        assert_null(pickle);
        if (error.code != cases[i].code || !strstr(error.message, cases[i].part))
            fail_msg("case %zu: expected \"%s\", got %s \"%s\"", i, cases[i].part, error_name(error.code), error.message);
    }
}

/* Values piled up, nested and repeated: an error, or a pickle, soon and without a deep stack. */
static void piles_end(void **state) {
    (void)state;
    enum { COUNT = 2 << 20 };
    char *bytes = malloc(COUNT + 8);
    struct pickle *pickle;
    struct error error = {0};
    static const char *const units[] = {"N", "(", "]", "\x85", "2", ")\x85", "\x94", "](e"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t length = strlen(units[i]), size = 1;
        bytes[0] = 'N';
        for (; size + length < COUNT; size += length) memcpy(bytes + size, units[i], length);
        bytes[size++] = '.';
        if (pickle_read((const unsigned char *)bytes, size, &pickle, &error))
            pickle_free(pickle);
        else
            assert_true(error.code == ERROR_LIMIT || error.code == ERROR_FORMAT);
    }
    assert_false(pickle_read((const unsigned char *)bytes, PICKLE_BYTES_MAX + 1, &pickle, &error));
    assert_int_equal(error.code, ERROR_LIMIT);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_strings),   cmocka_unit_test(containers), cmocka_unit_test(tensors),
        cmocka_unit_test(what_is_wrong_is_said), cmocka_unit_test(piles_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
