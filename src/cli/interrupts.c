#include "cli/commands.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

atomic_int interrupted;

static void on_signal(int number) {
    if (interrupted) _exit(128 + number); /* asked twice: do not wait for the step to end */
    interrupted = 1;
}

void interrupts_catch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
}
