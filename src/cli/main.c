#include "base/json.h"
#include "cli/commands.h"
#include "inpaint.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"paint", "paint a picture from the shell", command_paint},
    {"serve", "serve the web page and the prediction API", command_serve},
    {"worker", "paint what a store's queue holds (serve starts one by itself)", command_worker},
    {"model", "pull models, look after them, tell what a checkpoint holds", command_model},
    {"token", "create, list and revoke API tokens", command_token},
    {"bench", "measure this machine", command_bench},
};

static int help(FILE *out) {
    fprintf(out, "inpaintd " INPAINT_VERSION ": Stable Diffusion inpainting\n\nCommands:\n");
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "\n\"inpaintd COMMAND --help\" tells more, with examples.\n");
    fprintf(out, "\nExamples:\n  inpaintd serve\n  inpaintd paint photo.jpg --mask mask.png --prompt \"a red apple\"\n");
    return out == stdout ? 0 : 2;
}

int main(int argc, char **argv) {
    json_use_memory();
    if (argc < 2) return help(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) return help(stdout);
    if (strcmp(argv[1], "--version") == 0) return puts("inpaintd " INPAINT_VERSION) < 0;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].name) == 0) return commands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "inpaintd: there is no command \"%s\"\n\n", argv[1]);
    return help(stderr);
}
