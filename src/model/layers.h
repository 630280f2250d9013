/* What the networks are put together from. Every function here records into a plan and fetches its
 * weights by name, each checked against its shape. Only for this folder.
 *
 * Errors stick: the first is kept in `error`, and everything after it is harmless. */
#ifndef MODEL_LAYERS_H
#define MODEL_LAYERS_H

#include "tensor/plan.h"
#include "weights/weights.h"

struct network {
    struct plan *plan;
    const struct weights *weights;
    const char *prefix; /* in front of every name: "" or, say, "text_model." */
    struct error error; /* the first; code NONE: none */
};

/* A shape of up to four sizes, as written in the papers' order: SHAPE(out, in, 3, 3). */
#define SHAPE(...) ((const size_t[5]){__VA_ARGS__})

/* NAME("%s.norm1", block): a name that lives to the end of the statement. */
enum { LAYER_NAME_SIZE = 128 };
struct layer_name {
    char text[LAYER_NAME_SIZE];
};
struct layer_name layer_name(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define NAME(...) (layer_name(__VA_ARGS__).text)

/* The weight PREFIX + name of exactly this shape; NULL (and an error kept) when there is none. */
const struct tensor *weight(struct network *network, const size_t shape[5], const char *name, ...) __attribute__((format(printf, 3, 4)));

/* Whether recording went well up to `last`: every weight there, every shape fitting. This is how a
 * component is checked when it is opened: its network is recorded once, at a small size, and not run. */
bool network_check(struct network *network, struct value last, struct error *error);
/* network_check(), then plan_finish(). */
bool network_finish(struct network *network, struct value last, size_t memory_limit, struct error *error);

/* NAME.weight [out, in, kernel, kernel], NAME.bias [out]; stride 1, padding that keeps the size. */
struct value same_conv(struct network *network, struct value x, size_t in, size_t out, size_t kernel, bool wide, const char *name);
/* NAME.weight [out, in, 3, 3], stride 2; padded by `pad` on each side, or, pad 0, on the right and below only. */
struct value halving_conv(struct network *network, struct value x, size_t in, size_t out, size_t pad, const char *name);
/* Nearest-neighbour enlargement to h x w, then NAME.weight [out, in, 3, 3]. */
struct value enlarging_conv(struct network *network, struct value x, size_t h, size_t w, size_t in, size_t out, const char *name);

/* NAME.weight [c], NAME.bias [c] over concat(x, x2); then SiLU if asked. */
struct norm {
    size_t c, groups;
    float epsilon;
    bool silu;
};
struct value group_norm(struct network *network, struct value x, struct value x2, const struct norm *norm, const char *name);
struct value layer_norm(struct network *network, struct value x, size_t c, double epsilon, bool wide, const char *name);

/* act(x W^T + bias + residual), NAME.weight [out, in], NAME.bias [out]; residual may be VALUE_NONE. */
struct value dense(struct network *network, struct value x, size_t in, size_t out, struct value residual, enum activation act, bool wide,
                   const char *name);

/* ResnetBlock2D: norm1, SiLU, conv1, + time, norm2, SiLU, conv2, + (shortcut of) the input. */
struct resnet {
    size_t in, skip, out; /* channels: of x, of the skip connection joined to it (0 = none), of the result */
    size_t groups;
    float epsilon;
    struct value time; /* [1, 1, 1, out], or VALUE_NONE */
};
struct value resnet_block(struct network *network, struct value x, struct value skip, const struct resnet *resnet, const char *name);

#endif
