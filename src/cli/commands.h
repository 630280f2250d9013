/* The commands: each gets its own arguments (argv[0] is its name) and returns the exit code. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include <stdatomic.h>

int command_paint(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_worker(int argc, char **argv);
int command_model(int argc, char **argv);
int command_bench(int argc, char **argv);
int command_token(int argc, char **argv);

/* The model to use when none is named: $INPAINT_MODEL, else models/bundled below the working folder,
 * beside the program's folder or two above it, else where it was installed. */
const char *default_model(void);

/* Set by SIGINT and SIGTERM once interrupts_catch() was called; a second one ends the program. */
extern atomic_int interrupted;
void interrupts_catch(void);

#endif
