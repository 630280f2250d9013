/* Where the goldens lie: the folder that INPAINT_REFERENCE names, else the project's own copy in
 * tests/reference, laid out as tiny/, bundled/, full/, tiny-checkpoint/. */
#ifndef TESTS_REFERENCE_H
#define TESTS_REFERENCE_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { TEST_SKIPPED = 77 };

static inline const char *reference_folder(void) {
    const char *folder = getenv("INPAINT_REFERENCE");
    return folder && *folder ? folder : SOURCE_DIR "/tests/reference";
}

/* "FOLDER/part" in a static buffer of the caller's file; says so and returns NULL when it is missing. */
static inline const char *reference_path(const char *part, char *path, size_t size) {
    struct stat info;
    snprintf(path, size, "%s/%s", reference_folder(), part);
    if (stat(path, &info) != 0) {
        printf("skipped: %s is not there\n", path);
        return NULL;
    }
    return path;
}

#endif
