#include "base/json.h"

#include "base/memory.h"

void json_use_memory(void) { json_set_alloc_funcs(memory_alloc, memory_free); }

char *json_text(const json_t *json, size_t flags) {
    size_t failures = memory_failures();
    char *text = json_dumps(json, flags);
    if (memory_failures() == failures) return text;
    memory_free(text);
    return NULL;
}
