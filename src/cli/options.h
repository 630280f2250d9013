/* Command-line options as tables: parsing, range checks and --help from the same rows. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include "base/error.h"

#include <stddef.h>

enum option_kind { OPTION_FLAG, OPTION_TEXT, OPTION_INTEGER, OPTION_NUMBER, OPTION_CHOICE, OPTION_MAYBE_CHOICE, OPTION_TEXTS };

/* What an option that may be repeated was given, in order. */
enum { OPTION_TEXTS_MAX = 16 };
struct option_texts {
    const char *text[OPTION_TEXTS_MAX];
    int count;
};

struct option_row {
    const char *name; /* "steps": --steps */
    char letter;      /* 'p': -p; 0 = none */
    enum option_kind kind;
    const char
        *argument; /* "N" in the help; for the choices: "auto|f32|bf16"; for OPTION_MAYBE_CHOICE the first may be left out, else =CHOICE */
    const char *help;
    void *target; /* bool, const char *, long long, double, int (index of the choice), struct option_texts */
    double minimum, maximum;
    bool *given; /* optional: set when the option occurs */
};

struct command {
    const char *name, *summary, *usage, *details, *examples;
    const struct option_row *options; /* ends with a NULL name */
    size_t positional_minimum, positional_maximum;
};

enum options_outcome { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Parse argv[1 ...] into the targets; positional arguments go to positional[maximum] and *count.
 * --help anywhere: OPTIONS_HELP. OPTIONS_WRONG: error says what is wrong and how to get help. */
enum options_outcome options_parse(const struct command *command, int argc, char **argv, const char **positional, size_t *count,
                                   struct error *error);

/* Print the command's help on standard output. */
void options_help(const struct command *command);

/* What every command does first: parse, print help or the complaint. Returns -1 to go on, else the
 * exit code to leave with. */
int options_begin(const struct command *command, int argc, char **argv, const char **positional, size_t *count);

/* Print "inpaintd COMMAND: message" on standard error; returns the error's exit code. */
int complain(const char *command, const struct error *error);

#endif
