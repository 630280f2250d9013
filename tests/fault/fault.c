/* A library to be loaded in front of the C library's (LD_PRELOAD): allocations, calls on files and calls on sockets
 * of the whole program, whatever library makes them, fail when told to. It is told through the file that
 * INPAINT_FAULT names (struct control, mapped by the program and by the test; control.py writes it).
 *
 * The N-th call of the armed kind fails (and with `lasting` all after it), with errno `number`; SHORT lets reads and
 * writes do half of their work instead. Allocations are counted, so that a test can see what leaks.
 *
 * Left out: standard input, output and error (the log), eventfds and the like, and what oneDNN and the C++ library
 * allocate, which answer with an exception that nothing in C can catch. */
#undef _FILE_OFFSET_BITS /* both open() and open64() are meant here */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { NOTHING, ALLOCATIONS, FILES, SOCKETS };
enum { SHORT = -1 };

struct control {
    atomic_int kind, number, lasting, hit;
    atomic_long countdown, calls; /* of the armed kind, since it was armed */
    atomic_long blocks, bytes;    /* allocated now */
};

static struct control none, *control = &none;
static struct range { uintptr_t from, to; } excused[8]; /* the code of libraries whose allocations do not fail */
static size_t excused_count;
static __thread int inside; /* our own calls, and what they call */

#define EXPORT __attribute__((visibility("default")))

/* ---- must it fail? ---- */

static bool fails(int kind) {
    if (atomic_load_explicit(&control->kind, memory_order_acquire) != kind || inside) return false;
    atomic_fetch_add(&control->calls, 1);
    long left = atomic_fetch_sub(&control->countdown, 1);
    if (left > 1 || (left < 1 && !atomic_load(&control->lasting))) return false;
    atomic_store(&control->hit, 1);
    if (atomic_load(&control->number) > 0) errno = atomic_load(&control->number);
    return true;
}

static bool is_short(void) { return atomic_load(&control->number) == SHORT; }

/* FILES or SOCKETS, or NOTHING. */
static int kind_of(int descriptor) {
    struct stat status;
    int number = errno;
    if (descriptor <= 2 || atomic_load_explicit(&control->kind, memory_order_relaxed) <= ALLOCATIONS) return NOTHING;
    inside++;
    bool known = fstat(descriptor, &status) == 0;
    inside--;
    errno = number;
    if (!known) return NOTHING;
    return S_ISSOCK(status.st_mode) ? SOCKETS : S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? FILES : NOTHING;
}

static bool fails_on(int descriptor) {
    int kind = kind_of(descriptor);
    return kind != NOTHING && fails(kind);
}

/* ---- allocations ---- */

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static bool is_excused(const void *caller) {
    for (size_t i = 0; i < excused_count; i++)
        if ((uintptr_t)caller >= excused[i].from && (uintptr_t)caller < excused[i].to) return true;
    return false;
}

static bool allocation_fails(const void *caller) {
    if (atomic_load_explicit(&control->kind, memory_order_relaxed) != ALLOCATIONS || is_excused(caller) || !fails(ALLOCATIONS))
        return false;
    errno = ENOMEM;
    return true;
}

static void *count(void *block) {
    if (!block) return NULL;
    atomic_fetch_add_explicit(&control->blocks, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&control->bytes, (long)malloc_usable_size(block), memory_order_relaxed);
    return block;
}

static void uncount(void *block) {
    if (!block) return;
    atomic_fetch_sub_explicit(&control->blocks, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&control->bytes, (long)malloc_usable_size(block), memory_order_relaxed);
}

#define FAILS allocation_fails(__builtin_return_address(0))
EXPORT void *malloc(size_t size) { return FAILS ? NULL : count(__libc_malloc(size)); }
EXPORT void *calloc(size_t number, size_t size) { return FAILS ? NULL : count(__libc_calloc(number, size)); }
EXPORT void *memalign(size_t alignment, size_t size) { return FAILS ? NULL : count(__libc_memalign(alignment, size)); }
EXPORT void *aligned_alloc(size_t alignment, size_t size) { return FAILS ? NULL : count(__libc_memalign(alignment, size)); }

EXPORT void *realloc(void *old, size_t size) {
    if (FAILS) return NULL;
    uncount(old);
    void *block = __libc_realloc(old, size);
    if (block)
        count(block);
    else if (old && size)
        count(old);
    return block;
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size) {
    if (FAILS) return ENOMEM;
    *block = count(__libc_memalign(alignment, size));
    return *block ? 0 : ENOMEM;
}

EXPORT void free(void *block) {
    uncount(block);
    __libc_free(block);
}

/* ---- calls ---- */

#define REAL(type, name, ...)                                                                                                              \
    static type (*real)(__VA_ARGS__);                                                                                                      \
    if (!real) {                                                                                                                           \
        inside++;                                                                                                                          \
        real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name);                                                                              \
        inside--;                                                                                                                          \
    }

/* `failing`: must this call fail? A short write makes no sense of these. */
#define CALL(type, name, failing, parameters, arguments, ...)                                                                              \
    EXPORT type name parameters {                                                                                                          \
        REAL(type, name, __VA_ARGS__)                                                                                                      \
        if (!is_short() && (failing)) return (type)-1;                                                                                     \
        return real arguments;                                                                                                             \
    }

/* `half`: the arguments for half of the work. */
#define TRANSFER(name, descriptor, length, parameters, arguments, half, ...)                                                               \
    EXPORT ssize_t name parameters {                                                                                                       \
        REAL(ssize_t, name, __VA_ARGS__)                                                                                                   \
        if (!fails_on(descriptor)) return real arguments;                                                                                  \
        if (!is_short()) return -1;                                                                                                        \
        if ((length) > 1) return real half;                                                                                                \
        return real arguments;                                                                                                             \
    }

TRANSFER(read, fd, n, (int fd, void *to, size_t n), (fd, to, n), (fd, to, n / 2), int, void *, size_t)
TRANSFER(write, fd, n, (int fd, const void *from, size_t n), (fd, from, n), (fd, from, n / 2), int, const void *, size_t)
TRANSFER(pread64, fd, n, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at), (fd, to, n / 2, at), int, void *, size_t, off64_t)
TRANSFER(pwrite64, fd, n, (int fd, const void *from, size_t n, off64_t at), (fd, from, n, at), (fd, from, n / 2, at), int, const void *,
         size_t, off64_t)
TRANSFER(send, fd, n, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags), (fd, from, n / 2, flags), int, const void *,
         size_t, int)
TRANSFER(recv, fd, n, (int fd, void *to, size_t n, int flags), (fd, to, n, flags), (fd, to, n / 2, flags), int, void *, size_t, int)
TRANSFER(sendto, fd, n, (int fd, const void *from, size_t n, int flags, const struct sockaddr *address, socklen_t size),
         (fd, from, n, flags, address, size), (fd, from, n / 2, flags, address, size), int, const void *, size_t, int,
         const struct sockaddr *, socklen_t)
TRANSFER(recvfrom, fd, n, (int fd, void *to, size_t n, int flags, struct sockaddr *address, socklen_t *size),
         (fd, to, n, flags, address, size), (fd, to, n / 2, flags, address, size), int, void *, size_t, int, struct sockaddr *, socklen_t *)

CALL(ssize_t, sendmsg, fails_on(fd), (int fd, const struct msghdr *message, int flags), (fd, message, flags), int, const struct msghdr *,
     int)
CALL(ssize_t, recvmsg, fails_on(fd), (int fd, struct msghdr *message, int flags), (fd, message, flags), int, struct msghdr *, int)
CALL(ssize_t, writev, fails_on(fd), (int fd, const struct iovec *pieces, int n), (fd, pieces, n), int, const struct iovec *, int)
CALL(ssize_t, sendfile64, fails_on(to) || fails_on(from), (int to, int from, off64_t *at, size_t n), (to, from, at, n), int, int, off64_t *,
     size_t)
CALL(int, fsync, fails_on(fd), (int fd), (fd), int)
CALL(int, fdatasync, fails_on(fd), (int fd), (fd), int)
CALL(int, ftruncate64, fails_on(fd), (int fd, off64_t length), (fd, length), int, off64_t)
CALL(off64_t, lseek64, fails_on(fd), (int fd, off64_t at, int origin), (fd, at, origin), int, off64_t, int)
CALL(int, rename, fails(FILES), (const char *from, const char *to), (from, to), const char *, const char *)
CALL(int, renameat, fails(FILES), (int folder, const char *from, int other, const char *to), (folder, from, other, to), int, const char *,
     int, const char *)
CALL(int, link, fails(FILES), (const char *from, const char *to), (from, to), const char *, const char *)
CALL(int, unlink, fails(FILES), (const char *path), (path), const char *)
CALL(int, unlinkat, fails(FILES), (int folder, const char *path, int flags), (folder, path, flags), int, const char *, int)
CALL(int, mkdir, fails(FILES), (const char *path, mode_t mode), (path, mode), const char *, mode_t)
CALL(int, mkdirat, fails(FILES), (int folder, const char *path, mode_t mode), (folder, path, mode), int, const char *, mode_t)
CALL(int, stat64, fails(FILES), (const char *path, struct stat64 *status), (path, status), const char *, struct stat64 *)
CALL(int, fstat64, fails_on(fd), (int fd, struct stat64 *status), (fd, status), int, struct stat64 *)
CALL(int, fstatat64, fails(FILES), (int folder, const char *path, struct stat64 *status, int flags), (folder, path, status, flags), int,
     const char *, struct stat64 *, int)
CALL(int, access, fails(FILES), (const char *path, int mode), (path, mode), const char *, int)
CALL(int, socket, fails(SOCKETS), (int family, int type, int protocol), (family, type, protocol), int, int, int)
CALL(int, connect, fails_on(fd), (int fd, const struct sockaddr *address, socklen_t size), (fd, address, size), int,
     const struct sockaddr *, socklen_t)
CALL(int, accept4, fails_on(fd), (int fd, struct sockaddr *address, socklen_t *size, int flags), (fd, address, size, flags), int,
     struct sockaddr *, socklen_t *, int)
CALL(int, setsockopt, fails_on(fd), (int fd, int level, int name, const void *value, socklen_t size), (fd, level, name, value, size), int,
     int, int, const void *, socklen_t)
CALL(int, getsockopt, fails_on(fd), (int fd, int level, int name, void *value, socklen_t *size), (fd, level, name, value, size), int, int,
     int, void *, socklen_t *)

/* An error of close() leaves the descriptor closed all the same (close(2)). */
EXPORT int close(int fd) {
    REAL(int, close, int)
    bool failing = !is_short() && fails_on(fd);
    int result = real(fd), number = atomic_load(&control->number);
    if (!failing) return result;
    errno = number;
    return -1;
}

EXPORT int posix_fallocate64(int fd, off64_t at, off64_t length) {
    REAL(int, posix_fallocate64, int, off64_t, off64_t)
    return !is_short() && fails_on(fd) ? atomic_load(&control->number) : real(fd, at, length);
}

EXPORT void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t at) {
    REAL(void *, mmap64, void *, size_t, int, int, int, off64_t)
    if (!is_short() && fd >= 0 && fails_on(fd)) return MAP_FAILED;
    return real(address, length, protection, flags, fd, at);
}

#define OPEN(name, parameters, arguments, ...)                                                                                             \
    EXPORT int name parameters {                                                                                                           \
        REAL(int, name, __VA_ARGS__)                                                                                                       \
        va_list list;                                                                                                                      \
        va_start(list, flags);                                                                                                             \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;                                                          \
        va_end(list);                                                                                                                      \
        if (!is_short() && fails(FILES)) return -1;                                                                                        \
        return real arguments;                                                                                                             \
    }
OPEN(open, (const char *path, int flags, ...), (path, flags, mode), const char *, int, ...)
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode), const char *, int, ...)
OPEN(openat64, (int folder, const char *path, int flags, ...), (folder, path, flags, mode), int, const char *, int, ...)

/* ---- setting up ---- */

/* "from-to r-xp ... /path": those of libdnnl, libstdc++ and the unwinder. */
static void read_map(char *text) {
    for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!strstr(line, "r-xp") || !(strstr(line, "/libdnnl") || strstr(line, "/libstdc++") || strstr(line, "/libgcc_s"))) continue;
        char *end;
        if (excused_count == sizeof excused / sizeof *excused) break;
        excused[excused_count].from = strtoul(line, &end, 16);
        excused[excused_count++].to = strtoul(end + 1, NULL, 16);
    }
}

__attribute__((constructor)) static void set_up(void) {
    static char text[1 << 18];
    const char *path = getenv("INPAINT_FAULT");
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1,
        map = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY);
    if (file < 0 || map < 0) return;
    size_t length = 0;
    for (long got; length < sizeof text - 1 && (got = syscall(SYS_read, map, text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)got;
    read_map(text);
    syscall(SYS_close, map);
    void *page = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    syscall(SYS_close, file);
    if (page != MAP_FAILED) control = page;
}
