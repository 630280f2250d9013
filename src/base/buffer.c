#include "base/buffer.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void buffer_init(struct buffer *buffer, size_t maximum) { *buffer = (struct buffer){.maximum = maximum}; }

void buffer_free(struct buffer *buffer) {
    memory_free(buffer->data);
    buffer_init(buffer, buffer->maximum);
}

void buffer_clear(struct buffer *buffer) {
    buffer->length = 0;
    buffer->failed = false;
    if (buffer->data) buffer->data[0] = 0;
}

static bool fail(struct buffer *buffer) {
    buffer_free(buffer);
    buffer->failed = true;
    return false;
}

/* Room for `more` bytes and the closing 0. */
static bool reserve(struct buffer *buffer, size_t more) {
    if (buffer->failed) return false;
    if (more > buffer->maximum || buffer->length > buffer->maximum - more) return fail(buffer);
    size_t need = buffer->length + more + 1;
    if (need <= buffer->capacity) return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 64;
    while (capacity < need) capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    if (capacity > buffer->maximum + 1 && buffer->maximum < SIZE_MAX) capacity = buffer->maximum + 1;
    char *data = memory_resize(buffer->data, capacity);
    if (!data) return fail(buffer);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool buffer_append(struct buffer *buffer, const void *data, size_t length) {
    if (!reserve(buffer, length)) return false;
    if (length) memcpy(buffer->data + buffer->length, data, length);
    buffer->length += length;
    buffer->data[buffer->length] = 0;
    return true;
}

bool buffer_text(struct buffer *buffer, const char *text) { return buffer_append(buffer, text, strlen(text)); }

bool buffer_format(struct buffer *buffer, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || !reserve(buffer, (size_t)length)) return fail(buffer);
    va_start(arguments, format);
    vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
    return true;
}

char *buffer_take(struct buffer *buffer) {
    if (!reserve(buffer, 0)) return NULL;
    char *data = buffer->data;
    data[buffer->length] = 0;
    buffer_init(buffer, buffer->maximum);
    return data;
}
