/* Threads and packed weights for tests that run networks. */
#ifndef TESTS_PARITY_ENGINE_H
#define TESTS_PARITY_ENGINE_H

#include "tensor/plan.h"

#include <stdio.h>
#include <stdlib.h>

struct engine {
    struct plan_options options;
};

static inline struct engine engine_create(enum dtype compute) {
    struct engine engine = {{.compute = compute}};
    struct error error;
    engine.options.pool = pool_create(0, &error);
    engine.options.packed = engine.options.pool ? packed_weights_create(&error) : NULL;
    if (!engine.options.packed) {
        printf("FAILED  %s\n", error.message);
        exit(1);
    }
    return engine;
}

static inline void engine_free(struct engine *engine) {
    packed_weights_free(engine->options.packed);
    pool_free(engine->options.pool);
}

#endif
