#include "cli/options.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const struct option_row *find_long(const struct command *command, const char *name, size_t length) {
    for (const struct option_row *row = command->options; row->name; row++)
        if (strlen(row->name) == length && memcmp(row->name, name, length) == 0) return row;
    return NULL;
}

static const struct option_row *find_letter(const struct command *command, char letter) {
    for (const struct option_row *row = command->options; row->name; row++)
        if (row->letter == letter) return row;
    return NULL;
}

static bool store_choice(const struct option_row *row, const char *value, struct error *error) {
    int index = 0;
    for (const char *choice = row->argument; choice; index++) {
        const char *bar = strchr(choice, '|');
        size_t length = bar ? (size_t)(bar - choice) : strlen(choice);
        if (strlen(value) == length && memcmp(value, choice, length) == 0) {
            *(int *)row->target = index;
            return true;
        }
        choice = bar ? bar + 1 : NULL;
    }
    return error_set(error, ERROR_ARGUMENT, "--%s must be one of %s, not \"%s\"", row->name, row->argument, value);
}

static bool store_text(const struct option_row *row, const char *value, struct error *error) {
    struct option_texts *texts = row->target;
    if (texts->count == OPTION_TEXTS_MAX)
        return error_set(error, ERROR_ARGUMENT, "--%s is there more than %d times", row->name, OPTION_TEXTS_MAX);
    texts->text[texts->count++] = value;
    return true;
}

static bool store_value(const struct option_row *row, const char *value, struct error *error) {
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)row->target = true;
        return true;
    case OPTION_TEXT:
        *(const char **)row->target = value;
        return true;
    case OPTION_TEXTS:
        return store_text(row, value, error);
    case OPTION_CHOICE:
    case OPTION_MAYBE_CHOICE:
        return store_choice(row, value, error);
    case OPTION_INTEGER:
        if (text_to_integer(value, (long long)row->minimum, (long long)row->maximum, row->target)) return true;
        return error_set(error, ERROR_ARGUMENT, "--%s must be a whole number from %.0f to %.0f, not \"%s\"", row->name, row->minimum,
                         row->maximum, value);
    case OPTION_NUMBER:
        if (text_to_number(value, row->minimum, row->maximum, row->target)) return true;
        return error_set(error, ERROR_ARGUMENT, "--%s must be a number from %g to %g, not \"%s\"", row->name, row->minimum, row->maximum,
                         value);
    }
    return false;
}

/* One option at argv[*i]; moves *i on when the value is the next argument. */
static bool parse_option(const struct command *command, int argc, char **argv, int *i, struct error *error) {
    const char *word = argv[*i], *value = NULL;
    const struct option_row *row;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        row = find_long(command, word + 2, equals ? (size_t)(equals - word - 2) : strlen(word + 2));
        value = equals ? equals + 1 : NULL;
    } else {
        row = find_letter(command, word[1]);
        value = word[2] ? word + 2 : NULL;
    }
    if (!row) return error_set(error, ERROR_ARGUMENT, "there is no option %s", word);
    if (row->kind == OPTION_FLAG && value) return error_set(error, ERROR_ARGUMENT, "--%s takes no value", row->name);
    if (row->kind == OPTION_MAYBE_CHOICE && !value) {
        *(int *)row->target = 0;
        if (row->given) *row->given = true;
        return true;
    }
    if (row->kind != OPTION_FLAG && !value) {
        if (*i + 1 >= argc) return error_set(error, ERROR_ARGUMENT, "--%s needs a value: %s", row->name, row->argument);
        value = argv[++*i];
    }
    if (row->given) *row->given = true;
    return store_value(row, value, error);
}

enum options_outcome options_parse(const struct command *command, int argc, char **argv, const char **positional, size_t *count,
                                   struct error *error) {
    bool only_positional = false;
    *count = 0;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return OPTIONS_HELP;
    for (int i = 1; i < argc; i++) {
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
        } else if (!only_positional && argv[i][0] == '-' && argv[i][1]) {
            if (!parse_option(command, argc, argv, &i, error)) return OPTIONS_WRONG;
        } else if (*count == command->positional_maximum) {
            error_set(error, ERROR_ARGUMENT, "\"%s\" is one argument too many", argv[i]);
            return OPTIONS_WRONG;
        } else {
            positional[(*count)++] = argv[i];
        }
    }
    if (*count >= command->positional_minimum) return OPTIONS_RUN;
    error_set(error, ERROR_ARGUMENT, "something is missing: inpaintd %s %s", command->name, command->usage);
    return OPTIONS_WRONG;
}

void options_help(const struct command *command) {
    printf("inpaintd %s %s\n\n%s\n", command->name, command->usage, command->summary);
    if (command->details) printf("\n%s\n", command->details);
    if (command->options->name) printf("\nOptions:\n");
    for (const struct option_row *row = command->options; row->name; row++) {
        char left[80];
        int used = row->letter ? snprintf(left, sizeof left, "-%c, --%s", row->letter, row->name)
                               : snprintf(left, sizeof left, "    --%s", row->name);
        bool maybe = row->kind == OPTION_MAYBE_CHOICE;
        if (row->argument) snprintf(left + used, sizeof left - (size_t)used, "%s%s%s", maybe ? "[=" : " ", row->argument, maybe ? "]" : "");
        printf("  %-30s %s\n", left, row->help);
    }
    if (command->examples) printf("\nExamples:\n%s\n", command->examples);
}

int complain(const char *command, const struct error *error) {
    fprintf(stderr, "inpaintd %s: %s\n", command, error->message);
    return error_exit_code(error->code);
}

int options_begin(const struct command *command, int argc, char **argv, const char **positional, size_t *count) {
    struct error error = {.code = ERROR_NONE};
    switch (options_parse(command, argc, argv, positional, count, &error)) {
    case OPTIONS_RUN:
        return -1;
    case OPTIONS_HELP:
        options_help(command);
        return 0;
    case OPTIONS_WRONG:
        break;
    }
    int code = complain(command->name, &error);
    fprintf(stderr, "Try: inpaintd %s --help\n", command->name);
    return code;
}
