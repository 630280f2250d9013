#include "tensor/cpu/winograd.h"

/* G. Rows are points, the last one infinity. */
static const float points2[4][3] = {{1, 0, 0}, {0.5f, 0.5f, 0.5f}, {0.5f, -0.5f, 0.5f}, {0, 0, 1}};
/* 1 / (p - q) over the other points q. */
#define NEAR_SCALE (0.5f / (WINOGRAD_NEAR * (WINOGRAD_NEAR * WINOGRAD_NEAR - WINOGRAD_FAR * WINOGRAD_FAR)))
#define FAR_SCALE  (0.5f / (WINOGRAD_FAR * (WINOGRAD_FAR * WINOGRAD_FAR - WINOGRAD_NEAR * WINOGRAD_NEAR)))
static const float points3[5][3] = {
    {NEAR_SCALE, NEAR_SCALE *WINOGRAD_NEAR, NEAR_SCALE *WINOGRAD_NEAR *WINOGRAD_NEAR},
    {-NEAR_SCALE, NEAR_SCALE *WINOGRAD_NEAR, -NEAR_SCALE *WINOGRAD_NEAR *WINOGRAD_NEAR},
    {FAR_SCALE, FAR_SCALE *WINOGRAD_FAR, FAR_SCALE *WINOGRAD_FAR *WINOGRAD_FAR},
    {-FAR_SCALE, FAR_SCALE *WINOGRAD_FAR, -FAR_SCALE *WINOGRAD_FAR *WINOGRAD_FAR},
    {0, 0, 1},
};
static const float points4[6][3] = {
    {1, 0, 0},
    {-2 / 3.0f, -2 / 3.0f * WINOGRAD_SMALL, -1 / 3.0f},
    {-2 / 3.0f, 2 / 3.0f * WINOGRAD_SMALL, -1 / 3.0f},
    {1 / 6.0f, 1 / 6.0f * WINOGRAD_LARGE, 1 / 3.0f},
    {1 / 6.0f, -1 / 6.0f * WINOGRAD_LARGE, 1 / 3.0f},
    {0, 0, 1},
};

void winograd_weight(size_t m, const float kernel[9], float *out) {
    const float(*points)[3] = m == 2 ? points2 : m == 3 ? points3 : points4;
    for (size_t i = 0; i < m + 2; i++) {
        float column[3];
        for (size_t x = 0; x < 3; x++) column[x] = points[i][0] * kernel[x] + points[i][1] * kernel[3 + x] + points[i][2] * kernel[6 + x];
        for (size_t j = 0; j < m + 2; j++)
            out[i * (m + 2) + j] = points[j][0] * column[0] + points[j][1] * column[1] + points[j][2] * column[2];
    }
}
