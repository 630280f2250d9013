/* Operations with one implementation: embeddings, copies, element by element. Their results are
 * f32 where they begin a residual stream (embed, timestep_embed), else as their input or as asked. */
#include "tensor/cpu/simple.h"
#include "tensor/plan_internal.h"

#include <stdio.h>

/* ---- finishing and running ---- */

static bool choose(struct plan *plan, struct operation *operation, struct error *error) {
    return plan_request_vector(plan, operation, 0, error) && plan_request_vector(plan, operation, 1, error);
}

static void bind(struct plan *plan, struct operation *operation) {
    operation->as.simple.x = plan_view(plan, operation->operand[OPERAND_X]);
    operation->as.simple.out = plan_view(plan, operation->operand[OPERAND_OUT]);
}

static void describe(const struct operation *operation, char *text, size_t size) {
    const struct simple_operation *simple = &operation->as.simple;
    snprintf(text, size, "%s %zu %zux%zu", operation->type->name, simple->c, simple->samples, simple->rows);
}

static void run_map(struct operation *operation, struct pool *pool) {
    const struct simple_operation *simple = &operation->as.simple;
    simple_map(&simple->x, &simple->out, simple->samples * simple->rows, simple->c, simple->map, simple->a, simple->b, pool);
}

static void run_timestep_embed(struct operation *operation, struct pool *pool) {
    (void)pool; /* a handful of numbers */
    const struct simple_operation *simple = &operation->as.simple;
    simple_timestep_embed(&simple->x, &simple->out, simple->samples, simple->c, simple->flip, simple->a);
}

static void run_embed(struct operation *operation, struct pool *pool) {
    const struct simple_operation *simple = &operation->as.simple;
    simple_embed(&simple->x, &simple->out, simple->samples * simple->rows, simple->rows, simple->c, &operation->weight[0],
                 operation->vector[0], pool);
}

static void run_class_tokens(struct operation *operation, struct pool *pool) {
    const struct simple_operation *simple = &operation->as.simple;
    simple_class_tokens(&simple->x, &simple->out, simple->samples, simple->rows, simple->c, operation->vector[0], operation->vector[1],
                        pool);
}

static void run_take_token(struct operation *operation, struct pool *pool) {
    const struct simple_operation *simple = &operation->as.simple;
    simple_take_token(&simple->x, &simple->out, simple->samples, simple->x_rows, simple->index, simple->c, pool);
}

static const struct operation_type map_type = {"map", choose, bind, run_map, NULL, describe};
static const struct operation_type timestep_embed_type = {"timestep_embed", choose, bind, run_timestep_embed, NULL, describe};
static const struct operation_type embed_type = {"embed", choose, bind, run_embed, NULL, describe};
static const struct operation_type class_tokens_type = {"class_tokens", choose, bind, run_class_tokens, NULL, describe};
static const struct operation_type take_token_type = {"take_token", choose, bind, run_take_token, NULL, describe};

/* ---- recording ---- */

static struct operation *record(struct plan *plan, const struct operation_type *type, struct value x, const size_t out_shape[4],
                                enum dtype dtype, struct value *out) {
    *out = plan_new_value(plan, out_shape[0], out_shape[1], out_shape[2], out_shape[3], dtype);
    struct operation *operation = plan_new_operation(plan, type);
    if (!operation) {
        *out = VALUE_NONE;
        return NULL;
    }
    operation->operand[OPERAND_X] = x;
    operation->operand[OPERAND_OUT] = *out;
    operation->as.simple.samples = out_shape[0];
    operation->as.simple.rows = out_shape[1] * out_shape[2];
    operation->as.simple.c = out_shape[3];
    return operation;
}

static struct value record_map(struct plan *plan, struct value x, enum map_kind kind, float a, float b, enum dtype dtype) {
    if (!plan_operand(plan, x, "the input of a map")) return VALUE_NONE;
    size_t shape[4];
    plan_shape(plan, x, shape);
    struct value out;
    struct operation *operation = record(plan, &map_type, x, shape, dtype, &out);
    if (!operation) return VALUE_NONE;
    operation->as.simple.map = kind;
    operation->as.simple.a = a;
    operation->as.simple.b = b;
    return out;
}

struct value plan_map(struct plan *plan, struct value x, enum map_kind kind, float a, float b, bool wide) {
    return record_map(plan, x, kind, a, b, plan_result_dtype(plan, wide));
}

struct value plan_as(struct plan *plan, struct value value, enum dtype dtype) {
    if (plan_failed(plan) || plan_dtype(plan, value) == dtype) return value;
    return record_map(plan, value, MAP_SCALE_SHIFT, 1, 0, dtype);
}

struct value plan_timestep_embed(struct plan *plan, struct value x, size_t dim, bool flip, float shift) {
    const struct plan_value *timestep = plan_operand(plan, x, "a timestep");
    if (!timestep) return VALUE_NONE;
    if (timestep->shape[1] * timestep->shape[2] * timestep->shape[3] != 1 || dim < 2 || dim % 2 != 0 || !(shift < (float)(dim / 2)))
        return plan_fail(plan, ERROR_FORMAT, "a timestep can't be embedded in %zu channels", dim);
    struct value out;
    struct operation *operation = record(plan, &timestep_embed_type, x, (size_t[4]){timestep->shape[0], 1, 1, dim}, DTYPE_F32, &out);
    if (!operation) return VALUE_NONE;
    operation->as.simple.flip = flip;
    operation->as.simple.a = shift;
    return out;
}

/* A matrix [at least `rows`, c], or [*, c] with c = 0: any width. */
static bool check_table(struct plan *plan, const struct tensor *table, size_t rows, size_t c, const char *what) {
    if (!plan_check_weight(plan, table, what)) return false;
    if (table->rank == 2 && table->shape[0] >= rows && table->shape[1] > 0 && (c == 0 || table->shape[1] == c)) return true;
    char text[TENSOR_TEXT_SIZE];
    plan_fail(plan, ERROR_FORMAT, "%s is %s where [%zu or more, %zu] is needed", what, tensor_text(table, text), rows, c);
    return false;
}

struct value plan_embed(struct plan *plan, struct value ids, const struct tensor *table, const struct tensor *positions) {
    const struct plan_value *value = plan_look(plan, ids, "a value of ids");
    if (!value) return VALUE_NONE;
    if (value->dtype != DTYPE_I32) return plan_fail(plan, ERROR_INTERNAL, "numbers can't be used as ids");
    size_t n = value->shape[0], tokens = value->shape[2];
    if (!check_table(plan, table, 1, 0, "an embedding table")) return VALUE_NONE;
    size_t c = table->shape[1];
    if (!check_table(plan, positions, tokens, c, "a table of positions")) return VALUE_NONE;
    struct value out;
    struct operation *operation = record(plan, &embed_type, ids, (size_t[4]){n, 1, tokens, c}, DTYPE_F32, &out);
    if (!operation) return VALUE_NONE;
    operation->weight[0] = *table;
    vector_source_one(&operation->source[0], positions, tokens * c);
    return out;
}

struct value plan_class_tokens(struct plan *plan, struct value patches, const struct tensor *class_embedding,
                               const struct tensor *positions) {
    const struct plan_value *value = plan_operand(plan, patches, "a value of patches");
    if (!value) return VALUE_NONE;
    size_t n = value->shape[0], tokens = value->shape[1] * value->shape[2] + 1, c = value->shape[3];
    enum dtype dtype = value->dtype;
    if (!plan_check_vector(plan, class_embedding, c, "the class embedding") ||
        !check_table(plan, positions, tokens, c, "a table of positions"))
        return VALUE_NONE;
    struct value out;
    struct operation *operation = record(plan, &class_tokens_type, patches, (size_t[4]){n, 1, tokens, c}, dtype, &out);
    if (!operation) return VALUE_NONE;
    vector_source_one(&operation->source[0], class_embedding, c);
    vector_source_one(&operation->source[1], positions, tokens * c);
    return out;
}

struct value plan_take_token(struct plan *plan, struct value x, size_t index) {
    const struct plan_value *value = plan_operand(plan, x, "a value to take a token of");
    if (!value) return VALUE_NONE;
    size_t tokens = value->shape[1] * value->shape[2];
    if (index >= tokens) return plan_fail(plan, ERROR_FORMAT, "token %zu of %zu", index, tokens);
    struct value out;
    struct operation *operation =
        record(plan, &take_token_type, x, (size_t[4]){value->shape[0], 1, 1, value->shape[3]}, value->dtype, &out);
    if (!operation) return VALUE_NONE;
    operation->as.simple.index = index;
    operation->as.simple.x_rows = tokens;
    return out;
}
