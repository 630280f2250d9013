#include "tensor/peak.h"

#include "tensor/cpu/amx.h"

#include <immintrin.h>

double peak_bf16_amx(long rounds) {
    amx_begin();
    _tile_zero(6);
    _tile_zero(7);
    for (long n = 0; n < rounds; n++) {
        _tile_dpbf16ps(0, 6, 7);
        _tile_dpbf16ps(1, 6, 7);
        _tile_dpbf16ps(2, 6, 7);
        _tile_dpbf16ps(3, 6, 7);
    }
    amx_end();
    return (double)rounds * 4 * 16 * 16 * 32;
}
