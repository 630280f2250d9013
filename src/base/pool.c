#include "base/pool.h"

#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

enum { THREADS_MAX = 256, SPINS = 4096 };

struct pool {
    size_t threads;
    pthread_t *handles; /* [threads - 1] */
    pthread_mutex_t mutex;
    pthread_cond_t begin, end;
    /* A job's number; workers compare it with the last one they did. Written under the mutex, read
     * without it while spinning. */
    atomic_uint job;
    atomic_size_t next, working;
    size_t tasks;
    pool_function *function;
    void *context;
    bool stop;
};

struct worker {
    struct pool *pool;
    size_t thread;
};

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void work(struct pool *pool, size_t thread) {
    for (;;) {
        size_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->tasks) return;
        pool->function(pool->context, task, thread);
    }
}

static bool wait_for_job(struct pool *pool, unsigned done) {
    /* Operations follow each other within microseconds: look a while before going to sleep. */
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->job, memory_order_acquire) != done) break;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load_explicit(&pool->job, memory_order_relaxed) == done && !pool->stop) pthread_cond_wait(&pool->begin, &pool->mutex);
    bool go = !pool->stop;
    pthread_mutex_unlock(&pool->mutex);
    return go;
}

static void *worker_main(void *argument) {
    struct worker worker = *(struct worker *)argument;
    memory_free(argument);
    struct pool *pool = worker.pool;
    unsigned done = 0;
    while (wait_for_job(pool, done)) {
        done++;
        work(pool, worker.thread);
        if (atomic_fetch_sub_explicit(&pool->working, 1, memory_order_acq_rel) == 1) {
            pthread_mutex_lock(&pool->mutex);
            pthread_cond_signal(&pool->end);
            pthread_mutex_unlock(&pool->mutex);
        }
    }
    return NULL;
}

static size_t processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count < 1 ? 1 : (size_t)count;
}

static bool start_worker(struct pool *pool, size_t thread) {
    struct worker *worker = memory_alloc(sizeof *worker);
    if (!worker) return false;
    *worker = (struct worker){pool, thread};
    if (pthread_create(&pool->handles[thread - 1], NULL, worker_main, worker) == 0) return true;
    memory_free(worker);
    return false;
}

struct pool *pool_create(size_t threads, struct error *error) {
    if (threads == 0) threads = processors();
    if (threads > THREADS_MAX) threads = THREADS_MAX;
    struct pool *pool = memory_zero(sizeof *pool);
    pthread_t *handles = memory_array(threads, sizeof *handles);
    if (!pool || !handles) {
        memory_free(pool);
        memory_free(handles);
        error_set(error, ERROR_MEMORY, "out of memory while starting threads");
        return NULL;
    }
    pool->handles = handles;
    pool->threads = 1;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->begin, NULL);
    pthread_cond_init(&pool->end, NULL);
    while (pool->threads < threads) {
        if (!start_worker(pool, pool->threads)) {
            pool_free(pool);
            error_set(error, ERROR_MEMORY, "can't start %zu threads; ask for fewer", threads);
            return NULL;
        }
        pool->threads++;
    }
    return pool;
}

void pool_free(struct pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    pool->stop = true;
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->mutex);
    for (size_t i = 1; i < pool->threads; i++) pthread_join(pool->handles[i - 1], NULL);
    pthread_mutex_destroy(&pool->mutex);
    pthread_cond_destroy(&pool->begin);
    pthread_cond_destroy(&pool->end);
    memory_free(pool->handles);
    memory_free(pool);
}

size_t pool_threads(const struct pool *pool) { return pool->threads; }

void pool_run(struct pool *pool, size_t tasks, pool_function *function, void *context) {
    if (tasks == 0) return;
    if (pool->threads == 1 || tasks == 1) {
        for (size_t task = 0; task < tasks; task++) function(context, task, 0);
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    pool->function = function;
    pool->context = context;
    pool->tasks = tasks;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->working, pool->threads - 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&pool->job, 1, memory_order_release);
    pthread_cond_broadcast(&pool->begin);
    pthread_mutex_unlock(&pool->mutex);
    work(pool, 0);
    for (int i = 0; i < SPINS; i++) {
        if (atomic_load_explicit(&pool->working, memory_order_acquire) == 0) return;
        pause_briefly();
    }
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load_explicit(&pool->working, memory_order_acquire) != 0) pthread_cond_wait(&pool->end, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}
