#include "cli/supervisor.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 64, PAUSE_MAX = 30, LIVED_WELL = 60, PATIENCE = 20, TICK = 100000 };

struct child {
    pid_t process; /* 0: not running */
    int64_t started, start_again;
    int pause; /* seconds before the next start */
};

struct supervisor {
    char *const *arguments;
    int workers;
    struct child children[WORKERS_MAX];
    atomic_int *stop;
    pthread_t thread;
    atomic_int failed;
    atomic_bool ending;
};

static void become_worker(char *const *arguments, pid_t parent) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* Should the service be killed, its workers must not linger and hold leases. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == parent) execv("/proc/self/exe", arguments);
    _exit(1);
}

static void start(struct supervisor *supervisor, struct child *child) {
    pid_t parent = getpid(), process = fork();
    if (process == 0) become_worker(supervisor->arguments, parent);
    child->started = time_monotonic();
    if (process < 0) {
        log_error("can't start a worker: %s", strerror(errno));
        child->start_again = child->started + 1000000;
        return;
    }
    child->process = process;
}

static void note_end(struct supervisor *supervisor, struct child *child, int status) {
    int64_t now = time_monotonic();
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    child->process = 0;
    if (*supervisor->stop) return; /* Ctrl-C reaches the children too */
    if (code == 2 || code == 3) {
        atomic_store(&supervisor->failed, code);
        *supervisor->stop = 1;
        return;
    }
    if (now - child->started > (int64_t)LIVED_WELL * 1000000) child->pause = 0;
    if (WIFSIGNALED(status))
        log_warning("a worker was ended by signal %d; starting another in %d s", WTERMSIG(status), child->pause);
    else
        log_warning("a worker left with exit code %d; starting another in %d s", code, child->pause);
    child->start_again = now + (int64_t)child->pause * 1000000;
    child->pause = child->pause ? child->pause * 2 : 1;
    if (child->pause > PAUSE_MAX) child->pause = PAUSE_MAX;
}

static void tend(struct supervisor *supervisor, struct child *child) {
    int status;
    if (child->process && waitpid(child->process, &status, WNOHANG) == child->process) note_end(supervisor, child, status);
    if (!child->process && !*supervisor->stop && time_monotonic() >= child->start_again) start(supervisor, child);
}

static void end_children(struct supervisor *supervisor) {
    int64_t give_up = time_monotonic() + (int64_t)PATIENCE * 1000000;
    int running;
    for (int i = 0; i < supervisor->workers; i++)
        if (supervisor->children[i].process) kill(supervisor->children[i].process, SIGTERM);
    do {
        running = 0;
        for (int i = 0; i < supervisor->workers; i++) {
            struct child *child = &supervisor->children[i];
            if (child->process && waitpid(child->process, NULL, WNOHANG) == child->process) child->process = 0;
            if (child->process && time_monotonic() > give_up) kill(child->process, SIGKILL);
            running += child->process != 0;
        }
        if (running) time_sleep(TICK / 5);
    } while (running);
}

/* Children are forked by this thread, which lives as long as they do: the kernel's death signal
 * follows the thread, not the process. */
static void *supervise(void *argument) {
    struct supervisor *supervisor = argument;
    while (!atomic_load(&supervisor->ending)) {
        for (int i = 0; i < supervisor->workers; i++) tend(supervisor, &supervisor->children[i]);
        time_sleep(TICK);
    }
    end_children(supervisor);
    return NULL;
}

bool supervisor_start(char *const *arguments, int workers, atomic_int *stop, struct supervisor **out, struct error *error) {
    struct supervisor *supervisor = memory_zero(sizeof *supervisor);
    if (!supervisor) return error_set(error, ERROR_MEMORY, "out of memory");
    supervisor->arguments = arguments;
    supervisor->workers = workers < WORKERS_MAX ? workers : WORKERS_MAX;
    supervisor->stop = stop;
    if (pthread_create(&supervisor->thread, NULL, supervise, supervisor) != 0) {
        memory_free(supervisor);
        return error_set(error, ERROR_MEMORY, "can't start the thread that keeps workers running");
    }
    *out = supervisor;
    return true;
}

int supervisor_failed(const struct supervisor *supervisor) {
    return supervisor ? atomic_load(&((struct supervisor *)supervisor)->failed) : 0;
}

void supervisor_end(struct supervisor *supervisor) {
    if (!supervisor) return;
    atomic_store(&supervisor->ending, true);
    pthread_join(supervisor->thread, NULL);
    memory_free(supervisor);
}
