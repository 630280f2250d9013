/* What the files of the plan share. An operation is one file (plan_conv.c, plan_linear.c, ...): it
 * validates and records there, chooses its kernel, binds its memory and runs. */
#ifndef TENSOR_PLAN_INTERNAL_H
#define TENSOR_PLAN_INTERNAL_H

#include "tensor/kernel.h"
#include "tensor/plan.h"

/* A block of the arena, alive from operation `first` to `last`. */
struct storage {
    size_t bytes, offset;
    size_t first, last;
    bool persistent; /* alive for ever: inputs, kept values, values that cross sections */
};

/* Values count from 1: besides VALUE_NONE, an operand that an initialiser leaves out means none too. */
static inline bool value_given(struct value value) { return value.index > 0; }

struct plan_value {
    size_t shape[4];
    size_t stride, first; /* elements from row to row; element where the first row begins */
    enum dtype dtype;     /* F32, BF16 or, for ids, I32 */
    int section;          /* that wrote it; -1: input */
    size_t storage;
};

/* What an operation reads and writes. Attention has q, k and v in the first three places. */
enum { OPERAND_X, OPERAND_X2, OPERAND_RESIDUAL, OPERAND_PER_SAMPLE, OPERAND_OUT, OPERANDS };
#define OPERAND_Q OPERAND_X
#define OPERAND_K OPERAND_X2
#define OPERAND_V OPERAND_RESIDUAL

struct operation;
struct operation_type {
    const char *name;
    /* Choose the kernel, say how much scratch it takes, request packed weights. */
    bool (*choose)(struct plan *plan, struct operation *operation, struct error *error);
    /* Memory and weights have their places: fill in the kernel's operands. */
    void (*bind)(struct plan *plan, struct operation *operation);
    void (*run)(struct operation *operation, struct pool *pool);
    void (*release)(struct operation *operation); /* optional */
    void (*describe)(const struct operation *operation, char *text, size_t size);
};

enum { OPERATION_VECTORS = 2, DESCRIPTION_SIZE = 128 };

/* Numbers to be had as one f32 vector: a gamma, or the biases of several weights side by side. */
struct vector_source {
    struct tensor part[LINEAR_WEIGHTS_MAX]; /* data NULL: `count` zeros */
    size_t count[LINEAR_WEIGHTS_MAX];
    int parts;
};

struct linear_operation {
    struct linear_shape shape;
    struct linear_operands operands;
    const struct linear_kernel *kernel;
};
struct conv_operation {
    struct conv_shape shape;
    struct conv_operands operands;
    const struct conv_kernel *kernel;
};
struct attention_operation {
    struct attention_shape shape;
    struct attention_operands operands;
    const struct attention_kernel *kernel;
};
struct group_norm_operation {
    struct group_norm_shape shape;
    struct group_norm_operands operands;
    const struct group_norm_kernel *kernel;
};
struct layer_norm_operation {
    struct layer_norm_shape shape;
    struct layer_norm_operands operands;
    const struct layer_norm_kernel *kernel;
};
struct simple_operation {
    struct view x, out;
    size_t samples, rows, c; /* of the result */
    size_t x_rows;           /* rows per sample of x */
    size_t index;            /* take_token */
    enum map_kind map;
    float a, b;
    bool flip;
};

struct operation {
    const struct operation_type *type;
    int section;
    struct value operand[OPERANDS];
    struct tensor weight[LINEAR_WEIGHTS_MAX]; /* copies: the caller's may be gone by plan_finish() */
    struct vector_source source[OPERATION_VECTORS];
    const void *packed;
    const void *vector[OPERATION_VECTORS];
    size_t scratch_bytes, scratch_storage;
    double multiply_adds;
    void *state;
    union {
        struct linear_operation linear;
        struct conv_operation conv;
        struct attention_operation attention;
        struct group_norm_operation group_norm;
        struct layer_norm_operation layer_norm;
        struct simple_operation simple;
    } as;
};

/* A weight wanted in a kernel's layout: equal keys mean equal bytes. */
enum { PACKED_NUMBERS = 40, PACKED_LAYOUT = 320 };
struct packed_key {
    const void *data[LINEAR_WEIGHTS_MAX];
    size_t number[PACKED_NUMBERS];
    char layout[PACKED_LAYOUT];
};
struct packed_request {
    struct packed_key key;
    size_t bytes;
    void (*pack)(const void *source, void *packed); /* from any thread */
    const void *source;
    const void **result;
    const struct tensor *tensor; /* what is packed: [tensors] */
    int tensors;
};
struct packed_notice {
    plan_packed *function; /* or NULL */
    const void *user;
};
/* Find or make what is asked for, in parallel, and write the results. */
bool packed_weights_fulfil(struct packed_weights *packed, const struct packed_request *requests, size_t count,
                           const struct packed_notice *notice, struct pool *pool, struct error *error);
void packed_key_init(struct packed_key *key, const char *layout);
/* Count a tensor into the key; place is 0, 1 or 2. */
void packed_key_tensor(struct packed_key *key, int place, const struct tensor *tensor);
void packed_key_number(struct packed_key *key, size_t number);

struct plan {
    struct plan_options options;
    struct error error; /* the first while recording; code NONE: none */
    struct plan_value *values;
    size_t value_count, value_capacity;
    struct storage *storages;
    size_t storage_count, storage_capacity;
    struct operation **operations;
    size_t operation_count, operation_capacity;
    struct packed_request *requests;
    size_t request_count, request_capacity;
    int sections;
    unsigned char *arena;
    size_t arena_bytes;
    struct packed_notice packed;
    bool finished;
    plan_clock *clock;           /* of timings; NULL: nothing is timed */
    struct plan_timing *timings; /* each section's operations, then one with name NULL */
    char *names;
    const char *force; /* INPAINT_FORCE, while finishing */
    bool trace;        /* INPAINT_TRACE=dispatch */
};

/* ---- recording (plan.c) ---- */

/* Keep the first error; returns VALUE_NONE. */
struct value plan_fail(struct plan *plan, enum error_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool plan_failed(const struct plan *plan);
/* The value, or NULL after an error; `what` names it in the sentence. plan_operand() refuses ids. */
const struct plan_value *plan_look(struct plan *plan, struct value value, const char *what);
const struct plan_value *plan_operand(struct plan *plan, struct value value, const char *what);
/* A new value with memory of its own, written by the section being recorded. */
struct value plan_new_value(struct plan *plan, size_t n, size_t h, size_t w, size_t c, enum dtype dtype);
struct operation *plan_new_operation(struct plan *plan, const struct operation_type *type);
/* dtype of an operation's result. */
enum dtype plan_result_dtype(const struct plan *plan, bool wide);
/* The value itself, or a copy of it in `dtype`. */
struct value plan_as(struct plan *plan, struct value value, enum dtype dtype);

enum { TENSOR_TEXT_SIZE = 160 };
const char *tensor_text(const struct tensor *tensor, char text[TENSOR_TEXT_SIZE]); /* "f16 [320, 4, 3, 3]" */
/* Refuse a tensor that is not of a float type, or (vector) not [count]. */
bool plan_check_weight(struct plan *plan, const struct tensor *tensor, const char *what);
bool plan_check_vector(struct plan *plan, const struct tensor *tensor, size_t count, const char *what);
bool plan_grow(void **array, size_t *capacity, size_t count, size_t size);

/* ---- finishing (plan_finish.c, plan_memory.c) ---- */

/* Refusal of row `row`, or NULL when it takes the shape; *name is NULL past the last row. */
typedef const char *kernel_row(const void *shape, size_t row, const char **name);
kernel_row plan_linear_row, plan_conv_row, plan_attention_row, plan_group_norm_row, plan_layer_norm_row;
/* The index of the row to use, after INPAINT_FORCE. */
size_t plan_choose_row(const struct plan *plan, const char *operation, kernel_row *row, const void *shape);
bool plan_request(struct plan *plan, const struct packed_request *request, struct error *error);
bool plan_request_vector(struct plan *plan, struct operation *operation, int vector, struct error *error);
void vector_source_one(struct vector_source *source, const struct tensor *tensor, size_t count);
struct view plan_view(const struct plan *plan, struct value value);
void *plan_scratch(const struct plan *plan, const struct operation *operation);
/* Offsets of all storages; the size of the arena in *bytes. */
bool plan_layout(struct plan *plan, size_t *bytes, struct error *error);

/* Debugging aid for tests: fill all memory that no value owns for ever with NaN. */
void plan_poison(struct plan *plan);

#endif
