#include "cli/named_model.h"

#include "base/memory.h"
#include "library/hub.h"
#include "library/library.h"

#include <string.h>

inpaint_model *named_model_open(const char *name, const inpaint_options *options, struct error *error) {
    struct inpaint_error problem = {.code = INPAINT_OK};
    char *path = library_resolve(name);
    inpaint_model *model = path ? inpaint_open(path, options, &problem) : NULL;
    if (!path)
        error_set(error, ERROR_MEMORY, "out of memory");
    else if (!model && problem.code == INPAINT_NOT_FOUND && strcmp(path, name) == 0 && hub_valid_id(name))
        error_set(error, ERROR_NOT_FOUND, "there is neither a folder %s nor a pulled model of that name; to get it: inpaintd model pull %s",
                  name, name);
    else if (!model)
        error_set(error, (enum error_code)problem.code, "%s", problem.message);
    memory_free(path);
    return model;
}
