#include "model/layers.h"

#include <stdarg.h>
#include <stdio.h>

struct layer_name layer_name(const char *format, ...) {
    struct layer_name name;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name.text, sizeof name.text, format, arguments);
    va_end(arguments);
    return name;
}

const struct tensor *weight(struct network *network, const size_t shape[5], const char *name, ...) {
    if (network->error.code != ERROR_NONE) return NULL;
    char full[2 * LAYER_NAME_SIZE];
    int length = snprintf(full, sizeof full, "%s", network->prefix);
    va_list arguments;
    va_start(arguments, name);
    vsnprintf(full + length, sizeof full - (size_t)length, name, arguments);
    va_end(arguments);
    int rank = 0;
    while (shape[rank]) rank++;
    return weights_get(network->weights, full, rank, shape, &network->error);
}

bool network_check(struct network *network, struct value last, struct error *error) {
    if (network->error.code != ERROR_NONE) return error_set(error, network->error.code, "%s", network->error.message);
    size_t shape[4];
    plan_shape(network->plan, last, shape);
    return shape[0] != 0 || plan_finish(network->plan, 0, error); /* which only tells what went wrong */
}

/* What has been packed won't be read again: a network never lies in memory twice. */
static void rest(const void *user, const void *data, size_t bytes) {
    const struct network *network = user;
    weights_rest_at(network->weights, data, bytes);
}

bool network_finish(struct network *network, struct value last, size_t memory_limit, struct error *error) {
    plan_when_packed(network->plan, rest, network);
    if (!network_check(network, last, error) || !plan_finish(network->plan, memory_limit, error)) return false;
    weights_rest(network->weights); /* packed by now */
    return true;
}

/* ==== Convolutions ==== */

struct value same_conv(struct network *network, struct value x, size_t in, size_t out, size_t kernel, bool wide, const char *name) {
    int pad = (int)kernel / 2;
    return plan_conv(network->plan, &(struct conv){.x = x,
                                                   .weight = weight(network, SHAPE(out, in, kernel, kernel), "%s.weight", name),
                                                   .bias = weight(network, SHAPE(out), "%s.bias", name),
                                                   .pad_top = pad,
                                                   .pad_left = pad,
                                                   .pad_bottom = pad,
                                                   .pad_right = pad,
                                                   .wide = wide});
}

struct value halving_conv(struct network *network, struct value x, size_t in, size_t out, size_t pad, const char *name) {
    return plan_conv(network->plan, &(struct conv){.x = x,
                                                   .weight = weight(network, SHAPE(out, in, 3, 3), "%s.weight", name),
                                                   .bias = weight(network, SHAPE(out), "%s.bias", name),
                                                   .stride = 2,
                                                   .pad_top = (int)pad,
                                                   .pad_left = (int)pad,
                                                   .pad_bottom = 1,
                                                   .pad_right = 1,
                                                   .wide = true});
}

struct value enlarging_conv(struct network *network, struct value x, size_t h, size_t w, size_t in, size_t out, const char *name) {
    return plan_conv(network->plan, &(struct conv){.x = x,
                                                   .weight = weight(network, SHAPE(out, in, 3, 3), "%s.weight", name),
                                                   .bias = weight(network, SHAPE(out), "%s.bias", name),
                                                   .upsample_h = h,
                                                   .upsample_w = w,
                                                   .pad_top = 1,
                                                   .pad_left = 1,
                                                   .pad_bottom = 1,
                                                   .pad_right = 1,
                                                   .wide = true});
}

/* ==== Norms and products ==== */

struct value group_norm(struct network *network, struct value x, struct value x2, const struct norm *norm, const char *name) {
    return plan_group_norm(network->plan, &(struct group_norm){.x = x,
                                                               .x2 = x2,
                                                               .gamma = weight(network, SHAPE(norm->c), "%s.weight", name),
                                                               .beta = weight(network, SHAPE(norm->c), "%s.bias", name),
                                                               .groups = norm->groups,
                                                               .epsilon = norm->epsilon,
                                                               .silu = norm->silu});
}

struct value layer_norm(struct network *network, struct value x, size_t c, double epsilon, bool wide, const char *name) {
    return plan_layer_norm(network->plan, &(struct layer_norm){.x = x,
                                                               .gamma = weight(network, SHAPE(c), "%s.weight", name),
                                                               .beta = weight(network, SHAPE(c), "%s.bias", name),
                                                               .epsilon = (float)epsilon,
                                                               .wide = wide});
}

struct value dense(struct network *network, struct value x, size_t in, size_t out, struct value residual, enum activation act, bool wide,
                   const char *name) {
    return plan_linear(network->plan, &(struct linear){.x = x,
                                                       .weight = {weight(network, SHAPE(out, in), "%s.weight", name)},
                                                       .bias = {weight(network, SHAPE(out), "%s.bias", name)},
                                                       .residual = residual,
                                                       .act = act,
                                                       .wide = wide});
}

/* ==== The residual block ==== */

/* Where the number of channels changes, the input reaches the sum through a 1x1 convolution. */
static struct value shortcut(struct network *network, struct value x, struct value skip, const struct resnet *resnet, const char *name) {
    size_t in = resnet->in + resnet->skip, out = resnet->out;
    if (in == out) return x;
    return plan_conv(network->plan, &(struct conv){.x = x,
                                                   .x2 = skip,
                                                   .weight = weight(network, SHAPE(out, in, 1, 1), "%s.conv_shortcut.weight", name),
                                                   .bias = weight(network, SHAPE(out), "%s.conv_shortcut.bias", name),
                                                   .wide = true});
}

struct value resnet_block(struct network *network, struct value x, struct value skip, const struct resnet *resnet, const char *name) {
    size_t in = resnet->in + resnet->skip, out = resnet->out;
    struct value h =
        group_norm(network, x, skip, &(struct norm){in, resnet->groups, resnet->epsilon, .silu = true}, NAME("%s.norm1", name));
    h = plan_conv(network->plan, &(struct conv){.x = h,
                                                .weight = weight(network, SHAPE(out, in, 3, 3), "%s.conv1.weight", name),
                                                .bias = weight(network, SHAPE(out), "%s.conv1.bias", name),
                                                .per_sample = resnet->time,
                                                .pad_top = 1,
                                                .pad_left = 1,
                                                .pad_bottom = 1,
                                                .pad_right = 1});
    h = group_norm(network, h, VALUE_NONE, &(struct norm){out, resnet->groups, resnet->epsilon, .silu = true}, NAME("%s.norm2", name));
    return plan_conv(network->plan, &(struct conv){.x = h,
                                                   .weight = weight(network, SHAPE(out, out, 3, 3), "%s.conv2.weight", name),
                                                   .bias = weight(network, SHAPE(out), "%s.conv2.bias", name),
                                                   .residual = shortcut(network, x, skip, resnet, name),
                                                   .pad_top = 1,
                                                   .pad_left = 1,
                                                   .pad_bottom = 1,
                                                   .pad_right = 1,
                                                   .wide = true});
}
