/* Weights in panels for products by tiles: amx.h. */
#include "tensor/cpu/amx.h"
#include "tensor/cpu/elementary.h"

enum { STRETCH = 2 * AMX_TAPS_MAX };

static size_t panel_results(const struct gemm_weight *weight) { return weight->geglu ? AMX_PANEL / 2 : AMX_PANEL; }
static size_t panels_of(const struct gemm_weight *weight) { return blocks_of(weight->columns, panel_results(weight)); }
static size_t depth_of(const struct gemm_weight *weight) {
    return amx_filled(weight->length[0]) + (weight->parts == 2 ? amx_filled(weight->length[1]) : 0);
}
static size_t panel_width(const struct gemm_weight *weight, size_t panel) {
    return !weight->geglu && weight->columns - panel * AMX_PANEL <= AMX_PANEL / 2 ? AMX_PANEL / 2 : AMX_PANEL;
}

size_t amx_packed_size(const struct gemm_weight *weight) {
    size_t last = panels_of(weight) - 1;
    return depth_of(weight) * weight->taps * (last * AMX_PANEL + panel_width(weight, last)) * sizeof(uint16_t);
}

/* Inline, so that loops over it become vector code; weights hold no NaN worth keeping. */
static inline uint32_t round_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
}

/* The weight's row that a panel's column shows, or false for one that is only filled up. */
static bool source_row(const struct gemm_weight *weight, size_t panel, size_t column, size_t *row) {
    size_t results = panel_results(weight), result = panel * results + column % results;
    *row = result + (column >= results ? weight->columns : 0);
    return result < weight->columns;
}

/* Numbers of filled channels [first, first + count) of one row, all taps: out[channel][tap]. */
static void read_channels(const struct gemm_weight *weight, size_t row, size_t first, size_t count, float *out) {
    int i = 0;
    while (row >= weight->weight[i]->shape[0]) row -= weight->weight[i++]->shape[0];
    memset(out, 0, count * weight->taps * sizeof *out);
    size_t begin = 0, source = weight->first; /* of the part, filled and not */
    for (size_t part = 0; part < weight->parts; part++) {
        size_t from = first > begin ? first : begin, end = begin + weight->length[part];
        if (end > first + count) end = first + count;
        if (from < end)
            tensor_read_f32(weight->weight[i], (row * weight->weight[i]->shape[1] + source + from - begin) * weight->taps,
                            (end - from) * weight->taps, out + (from - first) * weight->taps);
        begin += amx_filled(weight->length[part]);
        source += weight->length[part];
    }
}

/* Channels [first, first + count) of a part of `channels`, of one column. */
static void pack_stretch(const struct gemm_weight *weight, size_t row, bool given, size_t part, size_t channels, size_t first, size_t count,
                         size_t width, uint32_t *out) {
    float number[STRETCH] = {0};
    if (given) read_channels(weight, row, part + first, count, number);
    for (size_t tap = 0; tap < weight->taps; tap++) {
        uint32_t *to = out + (tap * channels + first) / 2 * width;
        for (size_t c = 0; c < count; c += 2)
            to[c / 2 * width] = round_bf16(number[c * weight->taps + tap]) | round_bf16(number[(c + 1) * weight->taps + tap]) << 16;
    }
}

void amx_pack(const struct gemm_weight *weight, void *packed) {
    size_t depth = depth_of(weight), most = STRETCH / weight->taps / 2 * 2;
    uint32_t *out = packed;
    for (size_t panel = 0; panel < panels_of(weight); panel++) {
        size_t width = panel_width(weight, panel);
        for (size_t part = 0; part < depth; part += AMX_PART) {
            size_t channels = depth - part < AMX_PART ? depth - part : AMX_PART;
            for (size_t column = 0; column < width; column++) {
                size_t row;
                bool given = source_row(weight, panel, column, &row);
                for (size_t first = 0; first < channels; first += most)
                    pack_stretch(weight, row, given, part, channels, first, channels - first < most ? channels - first : most, width,
                                 out + column);
            }
            out += weight->taps * channels / 2 * width;
        }
    }
}
