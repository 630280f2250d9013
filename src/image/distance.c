/* The exact Euclidean distance transform of Meijster, Roerdink and Hesselink ("A General Algorithm
 * for Computing Distance Transforms in Linear Time", 2000): distances along columns first, then the
 * lower envelope of one parabola per column along each row. All in integers, linear in the pixels. */
#include "image/distance.h"

#include "base/memory.h"

#include <string.h>

/* Distance to the nearest unmasked pixel of the same column, at most limit. */
static void scan_columns(const struct image *mask, uint32_t limit, uint32_t *out) {
    size_t width = mask->width, height = mask->height;
    for (size_t y = 0; y < height; y++) {
        for (size_t x = 0; x < width; x++) {
            uint32_t above = y ? out[(y - 1) * width + x] : limit;
            out[y * width + x] = !mask->pixels[y * width + x] ? 0 : above < limit ? above + 1 : limit;
        }
    }
    for (size_t y = height - 1; y-- > 0;) {
        for (size_t x = 0; x < width; x++) {
            uint32_t below = out[(y + 1) * width + x];
            if (below < out[y * width + x]) out[y * width + x] = below + 1;
        }
    }
}

/* A column's parabola, and the first x of the row from which on it is the lowest. */
struct parabola {
    int64_t column, start;
};

static int64_t height_at(const uint32_t *row, int64_t column, int64_t x) {
    return (x - column) * (x - column) + (int64_t)row[column] * row[column];
}

/* The last x at which the parabola of `left` is not above that of `right`; left < right. Its numerator can be negative. */
static int64_t last_x_of_left(const uint32_t *row, int64_t left, int64_t right) {
    int64_t numerator = right * right - left * left + (int64_t)row[right] * row[right] - (int64_t)row[left] * row[left];
    int64_t denominator = 2 * (right - left);
    int64_t quotient = numerator / denominator;
    return numerator % denominator < 0 ? quotient - 1 : quotient;
}

static void scan_row(uint32_t *row, size_t width, uint32_t limit, struct parabola *stack, uint32_t *result) {
    size_t count = 0;
    for (int64_t column = 0; column < (int64_t)width; column++) {
        while (count && height_at(row, stack[count - 1].column, stack[count - 1].start) > height_at(row, column, stack[count - 1].start))
            count--;
        int64_t start = count ? last_x_of_left(row, stack[count - 1].column, column) + 1 : 0;
        if (start < (int64_t)width) stack[count++] = (struct parabola){.column = column, .start = start};
    }
    int64_t most = (int64_t)limit * limit;
    for (int64_t x = (int64_t)width - 1; x >= 0; x--) {
        while (stack[count - 1].start > x) count--;
        int64_t value = height_at(row, stack[count - 1].column, x);
        result[x] = (uint32_t)(value < most ? value : most);
    }
    memcpy(row, result, width * sizeof *row);
}

bool distance_squared(const struct image *binary_mask, uint32_t limit, uint32_t *out, struct error *error) {
    struct parabola *stack = memory_array(binary_mask->width, sizeof *stack);
    uint32_t *result = memory_array(binary_mask->width, sizeof *result);
    bool there = stack && result;
    if (there) {
        scan_columns(binary_mask, limit, out);
        for (size_t y = 0; y < binary_mask->height; y++) scan_row(out + y * binary_mask->width, binary_mask->width, limit, stack, result);
    }
    memory_free(stack);
    memory_free(result);
    return there || error_set(error, ERROR_MEMORY, "out of memory for a mask's distances");
}

/* Sliding maximum over 2 * radius + 1 values, `step` apart: the queue holds the places of the values
 * that may still become the largest, in falling order. */
static void widest_line(uint32_t *line, size_t step, size_t count, size_t radius, size_t *queue, uint32_t *copy) {
    size_t head = 0, tail = 0, next = 0;
    for (size_t i = 0; i < count; i++) copy[i] = line[i * step];
    for (size_t i = 0; i < count; i++) {
        for (; next < count && next <= i + radius; next++) {
            while (tail > head && copy[queue[tail - 1]] <= copy[next]) tail--;
            queue[tail++] = next;
        }
        while (queue[head] + radius < i) head++;
        line[i * step] = copy[queue[head]];
    }
}

bool distance_widest(uint32_t *values, size_t width, size_t height, size_t radius, struct error *error) {
    size_t longest = width > height ? width : height;
    size_t *queue = memory_array(longest, sizeof *queue);
    uint32_t *copy = memory_array(longest, sizeof *copy);
    bool there = queue && copy;
    for (size_t y = 0; there && y < height; y++) widest_line(values + y * width, 1, width, radius, queue, copy);
    for (size_t x = 0; there && x < width; x++) widest_line(values + x, width, height, radius, queue, copy);
    memory_free(queue);
    memory_free(copy);
    return there || error_set(error, ERROR_MEMORY, "out of memory for a mask's distances");
}
