/* What "inpaintd model" does with pulled models. Each returns the exit code. */
#ifndef CLI_MODEL_COMMANDS_H
#define CLI_MODEL_COMMANDS_H

#include <stdbool.h>

struct model_pull_settings {
    const char *id; /* OWNER/NAME, perhaps followed by @REVISION */
    const char *from, *file, *accept_license;
    long long connections;
    bool full, quiet;
};
int model_pull_command(const struct model_pull_settings *settings);

struct model_convert_settings {
    const char *from, *to, *size;
    long long threads;
    int dtype;
    bool no_safety, quiet;
};
int model_convert_command(const struct model_convert_settings *settings);

int model_list_command(void);
int model_verify_command(const char *name); /* OWNER/NAME, the folder of a pulled model, or a packed file */
int model_remove_command(const char *name);

#endif
