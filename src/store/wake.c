#include "store/wake.h"

#include "base/memory.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WAKE_FILE_SIZE = 4096, FALLBACK_MILLISECONDS = 500, CHECK_MILLISECONDS = 1000 };

/* One file mapped. Older ones stay mapped until the end, because a thread may be asleep on them. */
struct mapping {
    _Atomic uint32_t *_Atomic word; /* NULL: no file could be made; set last */
    dev_t device;
    ino_t inode;
    struct mapping *older;
};

struct wake {
    char *path;
    pthread_mutex_t lock;            /* over changing `current` */
    struct mapping *_Atomic current; /* never NULL */
};

static bool same_file(const struct mapping *mapping, const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && status.st_dev == mapping->device && status.st_ino == mapping->inode &&
           status.st_size >= WAKE_FILE_SIZE;
}

/* Blocks are allocated before the first store into the page: on a full disk it would be a SIGBUS. */
static void map_file(struct mapping *mapping, const char *path) {
    struct stat status;
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (descriptor < 0) return;
    if (posix_fallocate(descriptor, 0, WAKE_FILE_SIZE) == 0 && fstat(descriptor, &status) == 0) {
        void *page = mmap(NULL, WAKE_FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
        if (page != MAP_FAILED) {
            mapping->device = status.st_dev;
            mapping->inode = status.st_ino;
            mapping->word = page;
        }
    }
    close(descriptor);
}

struct wake *wake_open(const char *path) {
    struct wake *wake = memory_zero(sizeof *wake);
    struct mapping *mapping = memory_zero(sizeof *mapping);
    char *copy = memory_string(path);
    if (!wake || !mapping || !copy) {
        memory_free(wake);
        memory_free(mapping);
        memory_free(copy);
        return NULL;
    }
    map_file(mapping, path);
    wake->path = copy;
    pthread_mutex_init(&wake->lock, NULL);
    atomic_init(&wake->current, mapping);
    return wake;
}

void wake_close(struct wake *wake) {
    if (!wake) return;
    for (struct mapping *mapping = atomic_load(&wake->current), *older; mapping; mapping = older) {
        older = mapping->older;
        if (mapping->word) munmap((void *)mapping->word, WAKE_FILE_SIZE);
        memory_free(mapping);
    }
    pthread_mutex_destroy(&wake->lock);
    memory_free(wake->path);
    memory_free(wake);
}

/* The mapping to use now; follows a file that was removed or replaced. */
static struct mapping *current_mapping(struct wake *wake) {
    struct mapping *mapping = atomic_load(&wake->current);
    if (mapping->word && same_file(mapping, wake->path)) return mapping;
    pthread_mutex_lock(&wake->lock);
    mapping = atomic_load(&wake->current);
    if (!mapping->word) {
        map_file(mapping, wake->path);
    } else if (!same_file(mapping, wake->path)) {
        struct mapping *newer = memory_zero(sizeof *newer);
        if (newer) map_file(newer, wake->path);
        if (newer && newer->word) {
            newer->older = mapping;
            atomic_store(&wake->current, newer);
            /* Whoever sleeps on the old file shall come over. */
            atomic_fetch_add(mapping->word, 1);
            syscall(SYS_futex, mapping->word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
            mapping = newer;
        } else {
            memory_free(newer);
        }
    }
    pthread_mutex_unlock(&wake->lock);
    return mapping;
}

void wake_all(struct wake *wake) {
    struct mapping *mapping = current_mapping(wake);
    if (!mapping->word) return;
    atomic_fetch_add(mapping->word, 1);
    syscall(SYS_futex, mapping->word, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

bool wake_wait(struct wake *wake, uint32_t *seen, int milliseconds) {
    int64_t end = time_monotonic() + (int64_t)(milliseconds > 0 ? milliseconds : 0) * 1000;
    for (;;) {
        struct mapping *mapping = current_mapping(wake);
        int64_t left = (end - time_monotonic()) / 1000;
        if (!mapping->word) {
            time_sleep((left < FALLBACK_MILLISECONDS ? (left > 0 ? left : 0) : FALLBACK_MILLISECONDS) * 1000);
            return true;
        }
        uint32_t value = atomic_load(mapping->word);
        if (value != *seen) {
            *seen = value;
            return true;
        }
        if (left <= 0) return false;
        /* A second at most in one go, so that a file put in place of the mapped one is noticed. */
        int64_t slice = left < CHECK_MILLISECONDS ? left : CHECK_MILLISECONDS;
        struct timespec timeout = {.tv_sec = slice / 1000, .tv_nsec = (long)(slice % 1000) * 1000000};
        if (syscall(SYS_futex, mapping->word, FUTEX_WAIT, value, &timeout, NULL, 0) != 0 && errno == EINTR) return false;
    }
}
