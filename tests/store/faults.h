/* System calls that fail when told to: the functions below stand in front of the C library's, for
 * the program itself and for the libraries that it uses. Include in one file of a test program only.
 *
 * fault_at(n, number, for_ever): the n-th call from now (and every one after it) fails with errno
 * `number`; FAULT_SHORT lets a write do half of its work instead. The names are those of 64-bit offsets,
 * because everything here is compiled with these. */
#ifndef TESTS_STORE_FAULTS_H
#define TESTS_STORE_FAULTS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { FAULT_NONE = 0, FAULT_SHORT = -1 };

static atomic_long fault_countdown, fault_calls;
static atomic_int fault_number;
static atomic_bool fault_lasting;

static inline void fault_at(long n, int number, bool for_ever) {
    atomic_store(&fault_number, FAULT_NONE);
    atomic_store(&fault_countdown, n);
    atomic_store(&fault_calls, 0);
    atomic_store(&fault_lasting, for_ever);
    atomic_store(&fault_number, number);
}

/* Did a call fail since? */
static inline bool fault_hit(void) { return atomic_load(&fault_countdown) <= 0; }
static inline void fault_off(void) { atomic_store(&fault_number, FAULT_NONE); }

/* Must this call fail? */
static inline bool fault_now(void) {
    int number = atomic_load(&fault_number);
    if (number == FAULT_NONE) return false;
    atomic_fetch_add(&fault_calls, 1);
    long left = atomic_fetch_sub(&fault_countdown, 1);
    if (left > 1 || (left < 1 && !atomic_load(&fault_lasting))) return false;
    if (number > 0) errno = number;
    return true;
}

#define FAULT_EXPORT __attribute__((visibility("default")))
#define FAULT_REAL(type, name, ...)                                                                                                        \
    static type (*real)(__VA_ARGS__);                                                                                                      \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

#define FAULT_SIMPLE(type, name, parameters, arguments, ...)                                                                               \
    FAULT_EXPORT type name parameters;                                                                                                     \
    FAULT_EXPORT type name parameters {                                                                                                    \
        FAULT_REAL(type, name, __VA_ARGS__);                                                                                               \
        if (fault_now() && atomic_load(&fault_number) > 0) return (type)-1;                                                                \
        return real arguments;                                                                                                             \
    }

/* A short write is no failure: half of the bytes, and the caller goes on. */
#define FAULT_WRITE(name, parameters, arguments, half, ...)                                                                                \
    FAULT_EXPORT ssize_t name parameters;                                                                                                  \
    FAULT_EXPORT ssize_t name parameters {                                                                                                 \
        FAULT_REAL(ssize_t, name, __VA_ARGS__);                                                                                            \
        if (fault_now()) {                                                                                                                 \
            if (atomic_load(&fault_number) > 0) return -1;                                                                                 \
            if (length > 1) return real half;                                                                                              \
        }                                                                                                                                  \
        return real arguments;                                                                                                             \
    }

FAULT_WRITE(write, (int descriptor, const void *data, size_t length), (descriptor, data, length), (descriptor, data, length / 2), int,
            const void *, size_t)
FAULT_WRITE(pwrite64, (int descriptor, const void *data, size_t length, off64_t offset), (descriptor, data, length, offset),
            (descriptor, data, length / 2, offset), int, const void *, size_t, off64_t)
FAULT_SIMPLE(int, fsync, (int descriptor), (descriptor), int)
FAULT_SIMPLE(int, fdatasync, (int descriptor), (descriptor), int)
FAULT_SIMPLE(int, ftruncate64, (int descriptor, off64_t length), (descriptor, length), int, off64_t)
FAULT_SIMPLE(int, renameat, (int from_folder, const char *from, int to_folder, const char *to), (from_folder, from, to_folder, to), int,
             const char *, int, const char *)
FAULT_SIMPLE(int, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode), int, const char *, mode_t)
FAULT_SIMPLE(ssize_t, pread64, (int descriptor, void *data, size_t length, off64_t offset), (descriptor, data, length, offset), int, void *,
             size_t, off64_t)
FAULT_SIMPLE(int, posix_fallocate64, (int descriptor, off64_t offset, off64_t length), (descriptor, offset, length), int, off64_t, off64_t)

#define FAULT_OPEN(name, parameters, arguments, ...)                                                                                       \
    FAULT_EXPORT int name parameters;                                                                                                      \
    FAULT_EXPORT int name parameters {                                                                                                     \
        FAULT_REAL(int, name, __VA_ARGS__);                                                                                                \
        va_list list;                                                                                                                      \
        va_start(list, flags);                                                                                                             \
        mode_t mode = flags & O_CREAT ? va_arg(list, mode_t) : 0;                                                                          \
        va_end(list);                                                                                                                      \
        if (fault_now() && atomic_load(&fault_number) > 0) return -1;                                                                      \
        return real arguments;                                                                                                             \
    }
FAULT_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), const char *, int, ...)
FAULT_OPEN(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode), int, const char *, int, ...)

#endif
