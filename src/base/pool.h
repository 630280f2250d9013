/* Worker threads for kernels: fork-join over independent tasks.
 *
 * Every task computes its own part of the result, so the result does not depend on how many
 * threads there are or which one ran what. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/error.h"

struct pool;

/* task: 0 <= task < tasks. thread: 0 <= thread < pool_threads(), for scratch memory. */
typedef void pool_function(void *context, size_t task, size_t thread);

/* threads = 0: as many as this process may use. Never NULL on success; pool_free(NULL) is fine. */
struct pool *pool_create(size_t threads, struct error *error);
void pool_free(struct pool *pool);
size_t pool_threads(const struct pool *pool);

/* Run `function` for every task and return when all are done; the caller's thread takes part.
 * One caller at a time per pool; not reentrant. */
void pool_run(struct pool *pool, size_t tasks, pool_function *function, void *context);

#endif
