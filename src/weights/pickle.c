/* The machine: a stack, a memo, and the opcodes that torch.save() and its forerunners write
 * (protocols 0 to 5, as far as they build plain data). There is no opcode here that calls anything:
 * REDUCE and its kin look their name up in a short table (pickle_torch.c). */
#include "weights/pickle_internal.h"

#include "base/memory.h"
#include "weights/table.h"

#include <string.h>

/* ==== Tables ==== */

void *pickle_add(struct pickle *pickle, struct pickle_array *array, size_t item_size) {
    if (array->count >= PICKLE_TABLE_MAX) {
        error_set(pickle->error, ERROR_LIMIT, "the pickle holds more than %d values of a kind", PICKLE_TABLE_MAX);
        return NULL;
    }
    if (array->count == array->capacity) {
        size_t capacity = array->capacity ? 2 * array->capacity : 64;
        void *items = memory_resize(array->items, capacity * item_size);
        if (!items) {
            error_set(pickle->error, ERROR_MEMORY, "out of memory for what the pickle holds");
            return NULL;
        }
        array->items = items;
        array->capacity = capacity;
    }
    return memset((char *)array->items + item_size * array->count++, 0, item_size);
}

static struct pickle_object *object_of(const struct pickle *pickle, struct pickle_value value) {
    return (struct pickle_object *)pickle->objects.items + value.index;
}

bool pickle_new_object(struct pickle *pickle, enum pickle_kind kind, struct pickle_value *value) {
    *value = (struct pickle_value){.kind = kind, .index = pickle->objects.count};
    return pickle_add(pickle, &pickle->objects, sizeof(struct pickle_object)) != NULL;
}

bool pickle_append(struct pickle *pickle, struct pickle_value container, struct pickle_value key, struct pickle_value value) {
    struct pickle_item *item = pickle_add(pickle, &pickle->items, sizeof *item);
    if (!item) return false;
    *item = (struct pickle_item){.key = key, .value = value};
    struct pickle_object *object = object_of(pickle, container);
    size_t place = pickle->items.count;
    if (object->last)
        ((struct pickle_item *)pickle->items.items)[object->last - 1].next = place;
    else
        object->first = place;
    object->last = place;
    object->count++;
    return true;
}

/* ==== The stack ==== */

static bool damaged(struct pickle *pickle, const char *what) {
    error_set(pickle->error, ERROR_FORMAT, "the pickle is damaged near byte %zu: %s", pickle->at, what);
    return false;
}

static bool push(struct pickle *pickle, struct pickle_value value) {
    struct pickle_value *top = pickle_add(pickle, &pickle->stack, sizeof *top);
    if (top) *top = value;
    return top != NULL;
}

static bool push_plain(struct pickle *pickle, enum pickle_kind kind, int64_t integer) {
    return push(pickle, (struct pickle_value){.kind = kind, .integer = integer});
}

static struct pickle_value *values(const struct pickle *pickle) { return pickle->stack.items; }

/* The value on top, which may be no mark. */
static bool top(struct pickle *pickle, struct pickle_value *value) {
    size_t count = pickle->stack.count;
    if (count == 0 || values(pickle)[count - 1].kind == PICKLE_MARK) return damaged(pickle, "a value is missing");
    *value = values(pickle)[count - 1];
    return true;
}

static bool pop(struct pickle *pickle, struct pickle_value *value) {
    if (!top(pickle, value)) return false;
    pickle->stack.count--;
    return true;
}

/* Where the values above the last mark begin. */
static bool find_mark(struct pickle *pickle, size_t *first) {
    for (size_t i = pickle->stack.count; i > 0; i--) {
        if (values(pickle)[i - 1].kind == PICKLE_MARK) {
            *first = i;
            return true;
        }
    }
    return damaged(pickle, "a mark is missing");
}

/* ==== Operands ==== */

static bool take(struct pickle *pickle, size_t count, const unsigned char **bytes) {
    if (count > pickle->size - pickle->at) return damaged(pickle, "it ends too early");
    *bytes = pickle->bytes + pickle->at;
    pickle->at += count;
    return true;
}

/* An unsigned number of `size` bytes, little endian. */
static bool take_number(struct pickle *pickle, size_t size, uint64_t *number) {
    const unsigned char *bytes;
    if (!take(pickle, size, &bytes)) return false;
    *number = 0;
    for (size_t i = size; i > 0; i--) *number = *number << 8 | bytes[i - 1];
    return true;
}

/* A line without its end. */
static bool take_line(struct pickle *pickle, struct pickle_value *text) {
    const unsigned char *from = pickle->bytes + pickle->at, *end = memchr(from, '\n', pickle->size - pickle->at);
    if (!end) return damaged(pickle, "a line does not end");
    *text = (struct pickle_value){.kind = PICKLE_TEXT, .length = (uint32_t)(end - from), .text = from};
    pickle->at += (size_t)(end - from) + 1;
    return true;
}

/* Text or bytes after a length of `size` bytes. */
static bool push_text(struct pickle *pickle, enum pickle_kind kind, size_t size) {
    uint64_t length;
    const unsigned char *text;
    if (!take_number(pickle, size, &length)) return false;
    if (length > pickle->size - pickle->at) return damaged(pickle, "a text is longer than what is left");
    return take(pickle, (size_t)length, &text) &&
           push(pickle, (struct pickle_value){.kind = kind, .length = (uint32_t)length, .text = text});
}

/* A signed number of `size` bytes, at most 8. */
static bool push_integer(struct pickle *pickle, size_t size) {
    uint64_t number;
    if (size > 8) return error_set(pickle->error, ERROR_UNSUPPORTED, "the pickle holds a whole number of %zu bytes; 8 are the most", size);
    if (!take_number(pickle, size, &number)) return false;
    if (size > 0 && size < 8 && number >> (8 * size - 1)) number |= UINT64_MAX << (8 * size);
    return push_plain(pickle, PICKLE_INTEGER, (int64_t)number);
}

static bool push_unsigned(struct pickle *pickle, size_t size) {
    uint64_t number;
    return take_number(pickle, size, &number) && push_plain(pickle, PICKLE_INTEGER, (int64_t)number);
}

static bool push_long(struct pickle *pickle) {
    uint64_t size;
    return take_number(pickle, 1, &size) && push_integer(pickle, (size_t)size);
}

/* A double, big endian. */
static bool push_double(struct pickle *pickle) {
    const unsigned char *bytes;
    if (!take(pickle, 8, &bytes)) return false;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++) bits = bits << 8 | bytes[i];
    struct pickle_value value = {.kind = PICKLE_NUMBER};
    memcpy(&value.number, &bits, sizeof bits);
    return push(pickle, value);
}

/* ==== The memo ==== */

static bool memo_put(struct pickle *pickle, uint64_t place) {
    struct pickle_value value;
    if (!top(pickle, &value)) return false;
    /* Writers count up from 0 and spend at least two bytes on each. */
    if (place >= PICKLE_TABLE_MAX || place > pickle->at) return damaged(pickle, "a value is to be remembered far out of order");
    while (pickle->memo.count <= place) {
        struct pickle_value *empty = pickle_add(pickle, &pickle->memo, sizeof *empty);
        if (!empty) return false;
        empty->kind = PICKLE_MARK; /* nothing there */
    }
    ((struct pickle_value *)pickle->memo.items)[place] = value;
    return true;
}

static bool put(struct pickle *pickle, size_t size) {
    uint64_t place;
    return take_number(pickle, size, &place) && memo_put(pickle, place);
}

static bool get(struct pickle *pickle, size_t size) {
    uint64_t place;
    if (!take_number(pickle, size, &place)) return false;
    const struct pickle_value *memo = pickle->memo.items;
    if (place >= pickle->memo.count || memo[place].kind == PICKLE_MARK) return damaged(pickle, "a value was not remembered before");
    return push(pickle, memo[place]);
}

/* ==== Containers ==== */

static bool push_container(struct pickle *pickle, enum pickle_kind kind) {
    struct pickle_value value;
    return pickle_new_object(pickle, kind, &value) && push(pickle, value);
}

/* The values from `first` on, off the stack and to the end of the container. */
static bool move_items(struct pickle *pickle, struct pickle_value container, size_t first) {
    bool pairs = container.kind == PICKLE_DICT;
    size_t count = pickle->stack.count - first;
    if (pairs && count % 2 != 0) return damaged(pickle, "a key without a value");
    for (size_t i = first; i < pickle->stack.count; i += pairs ? 2 : 1) {
        struct pickle_value key = pairs ? values(pickle)[i] : (struct pickle_value){.kind = PICKLE_NONE};
        if (!pickle_append(pickle, container, key, values(pickle)[pairs ? i + 1 : i])) return false;
    }
    pickle->stack.count = first;
    return true;
}

/* The last `count` values as a tuple. */
static bool push_tuple(struct pickle *pickle, size_t count) {
    struct pickle_value tuple;
    if (pickle->stack.count < count) return damaged(pickle, "a tuple's values are missing");
    for (size_t i = 1; i <= count; i++)
        if (values(pickle)[pickle->stack.count - i].kind == PICKLE_MARK) return damaged(pickle, "a mark inside a tuple");
    return pickle_new_object(pickle, PICKLE_TUPLE, &tuple) && move_items(pickle, tuple, pickle->stack.count - count) && push(pickle, tuple);
}

/* The values above the mark as a new container in its place. */
static bool push_marked(struct pickle *pickle, enum pickle_kind kind) {
    struct pickle_value container;
    size_t first;
    if (!find_mark(pickle, &first) || !pickle_new_object(pickle, kind, &container) || !move_items(pickle, container, first)) return false;
    pickle->stack.count = first - 1;
    return push(pickle, container);
}

/* The values from `first` on into the container below them (and below their mark, if `marked`). */
static bool extend(struct pickle *pickle, enum pickle_kind kind, size_t first, size_t marked) {
    if (first < 1 + marked) return damaged(pickle, "there is nothing to add to");
    struct pickle_value container = values(pickle)[first - marked - 1];
    if (container.kind == PICKLE_OPAQUE) {
        pickle->stack.count = first - marked;
        return true;
    }
    if (container.kind != kind) return damaged(pickle, "values are to be added to what is no list or dictionary");
    if (!move_items(pickle, container, first)) return false;
    pickle->stack.count = first - marked;
    return true;
}

static bool extend_marked(struct pickle *pickle, enum pickle_kind kind) {
    size_t first;
    return find_mark(pickle, &first) && extend(pickle, kind, first, 1);
}

static bool extend_by(struct pickle *pickle, enum pickle_kind kind, size_t count) {
    if (pickle->stack.count < count + 1) return damaged(pickle, "there is nothing to add to");
    for (size_t i = 1; i <= count; i++)
        if (values(pickle)[pickle->stack.count - i].kind == PICKLE_MARK) return damaged(pickle, "a mark in a value's place");
    return extend(pickle, kind, pickle->stack.count - count, 0);
}

/* ==== Names and calls ==== */

static bool push_name(struct pickle *pickle) {
    struct pickle_value module, name, value;
    return take_line(pickle, &module) && take_line(pickle, &name) && pickle_find_name(pickle, module, name, &value) && push(pickle, value);
}

static bool push_stack_name(struct pickle *pickle) {
    struct pickle_value module, name, value;
    if (!pop(pickle, &name) || !pop(pickle, &module)) return false;
    if (module.kind != PICKLE_TEXT || name.kind != PICKLE_TEXT) return damaged(pickle, "a name is no text");
    return pickle_find_name(pickle, module, name, &value) && push(pickle, value);
}

static bool reduce(struct pickle *pickle) {
    struct pickle_value callable, arguments, value;
    return pop(pickle, &arguments) && pop(pickle, &callable) && pickle_call(pickle, callable, arguments, &value) && push(pickle, value);
}

/* Attributes for the object on the stack: those of dictionaries (torch's _metadata) are not needed,
 * and nothing else may have any. */
static bool build(struct pickle *pickle) {
    struct pickle_value attributes, object;
    if (!pop(pickle, &attributes) || !top(pickle, &object)) return false;
    if (object.kind == PICKLE_DICT || object.kind == PICKLE_OPAQUE) return true;
    return error_set(pickle->error, ERROR_UNSUPPORTED, "the pickle wants to set attributes of what is no dictionary: refused");
}

static bool push_persistent(struct pickle *pickle) {
    struct pickle_value id, value;
    return pop(pickle, &id) && pickle_find_storage(pickle, id, &value) && push(pickle, value);
}

/* ==== Opcodes ==== */

static bool refuse_opcode(struct pickle *pickle, unsigned opcode) {
    return error_set(pickle->error, ERROR_UNSUPPORTED, "the pickle has the opcode 0x%02x at byte %zu, which tensors do not need: refused",
                     opcode, pickle->at - 1);
}

static bool step_container(struct pickle *pickle, unsigned opcode) {
    struct pickle_value value;
    size_t first;
    switch (opcode) {
    case ')':
        return push_container(pickle, PICKLE_TUPLE);
    case 0x85: /* TUPLE1, 2, 3 */
    case 0x86:
    case 0x87:
        return push_tuple(pickle, opcode - 0x84);
    case 't':
        return push_marked(pickle, PICKLE_TUPLE);
    case ']':
        return push_container(pickle, PICKLE_LIST);
    case 'l':
        return push_marked(pickle, PICKLE_LIST);
    case 'a':
        return extend_by(pickle, PICKLE_LIST, 1);
    case 'e':
        return extend_marked(pickle, PICKLE_LIST);
    case '}':
        return push_container(pickle, PICKLE_DICT);
    case 'd':
        return push_marked(pickle, PICKLE_DICT);
    case 's':
        return extend_by(pickle, PICKLE_DICT, 2);
    case 'u':
        return extend_marked(pickle, PICKLE_DICT);
    case '0': /* POP */
        return pop(pickle, &value);
    case '1': /* POP_MARK */
        if (!find_mark(pickle, &first)) return false;
        pickle->stack.count = first - 1;
        return true;
    case '2': /* DUP */
        return top(pickle, &value) && push(pickle, value);
    default:
        return refuse_opcode(pickle, opcode);
    }
}

static bool step_value(struct pickle *pickle, unsigned opcode) {
    switch (opcode) {
    case 'N':
        return push_plain(pickle, PICKLE_NONE, 0);
    case 0x88: /* NEWTRUE, NEWFALSE */
    case 0x89:
        return push_plain(pickle, PICKLE_BOOL, opcode == 0x88);
    case 'J': /* BININT, BININT1, BININT2, LONG1 */
        return push_integer(pickle, 4);
    case 'K':
        return push_unsigned(pickle, 1);
    case 'M':
        return push_unsigned(pickle, 2);
    case 0x8a:
        return push_long(pickle);
    case 'G':
        return push_double(pickle);
    case 'X': /* BINUNICODE, its short and its long form */
        return push_text(pickle, PICKLE_TEXT, 4);
    case 0x8c:
        return push_text(pickle, PICKLE_TEXT, 1);
    case 0x8d:
        return push_text(pickle, PICKLE_TEXT, 8);
    case 'T': /* BINSTRING and BINBYTES, long and short */
        return push_text(pickle, PICKLE_TEXT, 4);
    case 'U':
        return push_text(pickle, PICKLE_TEXT, 1);
    case 'B':
        return push_text(pickle, PICKLE_BYTES, 4);
    case 'C':
        return push_text(pickle, PICKLE_BYTES, 1);
    default:
        return step_container(pickle, opcode);
    }
}

static bool step(struct pickle *pickle, unsigned opcode) {
    const unsigned char *skipped;
    switch (opcode) {
    case 0x80: /* PROTO: its number changes nothing here */
        return take(pickle, 1, &skipped);
    case 0x95: /* FRAME: a hint for readers of streams */
        return take(pickle, 8, &skipped);
    case '(':
        return push_plain(pickle, PICKLE_MARK, 0);
    case 'q': /* BINPUT, LONG_BINPUT, MEMOIZE */
        return put(pickle, 1);
    case 'r':
        return put(pickle, 4);
    case 0x94:
        return memo_put(pickle, pickle->memo.count);
    case 'h': /* BINGET, LONG_BINGET */
        return get(pickle, 1);
    case 'j':
        return get(pickle, 4);
    case 'c': /* GLOBAL, STACK_GLOBAL */
        return push_name(pickle);
    case 0x93:
        return push_stack_name(pickle);
    case 'R': /* REDUCE; NEWOBJ differs in what Python would have called */
    case 0x81:
        return reduce(pickle);
    case 'b':
        return build(pickle);
    case 'Q':
        return push_persistent(pickle);
    default:
        return step_value(pickle, opcode);
    }
}

static bool run(struct pickle *pickle) {
    while (pickle->at < pickle->size) {
        unsigned opcode = pickle->bytes[pickle->at++];
        if (opcode == '.') {
            struct pickle_value root;
            return top(pickle, &root);
        }
        if (!step(pickle, opcode)) return false;
    }
    return damaged(pickle, "it has no end");
}

bool pickle_read(const unsigned char *bytes, size_t size, struct pickle **out, struct error *error) {
    if (size > PICKLE_BYTES_MAX) return error_set(error, ERROR_LIMIT, "the pickle has %zu bytes; %d are the most", size, PICKLE_BYTES_MAX);
    struct pickle *pickle = memory_zero(sizeof *pickle);
    if (!pickle) return error_set(error, ERROR_MEMORY, "out of memory to read a pickle");
    *pickle = (struct pickle){.bytes = bytes, .size = size, .error = error};
    if (!run(pickle)) {
        pickle_free(pickle);
        return false;
    }
    pickle->error = NULL;
    *out = pickle;
    return true;
}

void pickle_free(struct pickle *pickle) {
    if (!pickle) return;
    struct pickle_array *const arrays[] = {&pickle->stack, &pickle->memo,    &pickle->objects,
                                           &pickle->items, &pickle->tensors, &pickle->stored};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) memory_free(arrays[i]->items);
    memory_free(pickle);
}

/* ==== Looking at what was read ==== */

struct pickle_value pickle_root(const struct pickle *pickle) {
    return values(pickle)[pickle->stack.count - 1];
}

const struct pickle_tensor *pickle_tensor(const struct pickle *pickle, struct pickle_value value) {
    return value.kind == PICKLE_TENSOR ? (const struct pickle_tensor *)pickle->tensors.items + value.index : NULL;
}

bool pickle_next(const struct pickle *pickle, struct pickle_value container, size_t *cursor, struct pickle_value *key,
                 struct pickle_value *value) {
    if (container.kind != PICKLE_TUPLE && container.kind != PICKLE_LIST && container.kind != PICKLE_DICT) return false;
    const struct pickle_item *items = pickle->items.items;
    size_t place = *cursor ? items[*cursor - 1].next : object_of(pickle, container)->first;
    if (!place) return false;
    *key = items[place - 1].key;
    *value = items[place - 1].value;
    *cursor = place;
    return true;
}

bool pickle_is_text(struct pickle_value value, const char *text) {
    size_t length = strlen(text);
    return value.kind == PICKLE_TEXT && value.length == length && memcmp(value.text, text, length) == 0;
}
