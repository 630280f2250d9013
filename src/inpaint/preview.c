#include "inpaint/preview.h"

#include <math.h>
#include <string.h>

enum { TERMS = LATENT_CHANNELS + 1, BLOCK = 8 };

/* Mean colour of the 8x8 pixels behind latent position (y, x). */
static void block_mean(const float *pixels, size_t w, size_t y, size_t x, double mean[3]) {
    mean[0] = mean[1] = mean[2] = 0;
    for (size_t i = 0; i < BLOCK; i++)
        for (size_t j = 0; j < BLOCK; j++)
            for (size_t c = 0; c < 3; c++)
                mean[c] += (double)pixels[((y * BLOCK + i) * w * BLOCK + x * BLOCK + j) * 3 + c] / (BLOCK * BLOCK);
}

/* Solve the symmetric positive definite system in place (Gauss without pivoting: the ridge keeps it well). */
static void solve(double a[TERMS][TERMS], double b[TERMS][3]) {
    for (int k = 0; k < TERMS; k++)
        for (int i = k + 1; i < TERMS; i++) {
            double factor = a[i][k] / a[k][k];
            for (int j = k; j < TERMS; j++) a[i][j] -= factor * a[k][j];
            for (int c = 0; c < 3; c++) b[i][c] -= factor * b[k][c];
        }
    for (int i = TERMS - 1; i >= 0; i--)
        for (int c = 0; c < 3; c++) {
            for (int j = i + 1; j < TERMS; j++) b[i][c] -= a[i][j] * b[j][c];
            b[i][c] /= a[i][i];
        }
}

void preview_fit(struct preview_map *map, const float *latent, const float *pixels, size_t h, size_t w) {
    double a[TERMS][TERMS] = {0}, b[TERMS][3] = {0};
    for (size_t y = 0; y < h; y++)
        for (size_t x = 0; x < w; x++) {
            double term[TERMS], colour[3];
            for (int k = 0; k < LATENT_CHANNELS; k++) term[k] = (double)latent[(y * w + x) * LATENT_CHANNELS + (size_t)k];
            term[LATENT_CHANNELS] = 1;
            block_mean(pixels, w, y, x, colour);
            for (int i = 0; i < TERMS; i++) {
                for (int j = 0; j < TERMS; j++) a[i][j] += term[i] * term[j];
                for (int c = 0; c < 3; c++) b[i][c] += term[i] * colour[c];
            }
        }
    double ridge = 0.01 * (double)(h * w);
    for (int i = 0; i < TERMS; i++) a[i][i] += ridge;
    solve(a, b);
    for (int i = 0; i < TERMS; i++)
        for (int c = 0; c < 3; c++) map->weight[i][c] = (float)b[i][c];
}

void preview_render(const struct preview_map *map, const float *latent, size_t h, size_t w, uint8_t *rgb) {
    for (size_t i = 0; i < h * w; i++)
        for (size_t c = 0; c < 3; c++) {
            float value = map->weight[LATENT_CHANNELS][c];
            for (size_t k = 0; k < LATENT_CHANNELS; k++) value += map->weight[k][c] * latent[i * LATENT_CHANNELS + k];
            float scaled = 127.5f * (value + 1);
            rgb[i * 3 + c] = (uint8_t)(scaled > 0 ? scaled < 255 ? scaled + 0.5f : 255 : 0); /* a NaN becomes 0 */
        }
}
