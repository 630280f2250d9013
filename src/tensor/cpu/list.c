/* Every operation's kernels, best first. A row that the processor can't run, or that does not take
 * a shape, says so in accepts(). */
#include "tensor/kernel.h"

extern const struct linear_kernel amx_linear;
extern const struct linear_kernel avx512bf16_linear;
extern const struct linear_kernel avx512_linear;
extern const struct linear_kernel avx2_linear;
extern const struct linear_kernel onednn_linear;
extern const struct linear_kernel ref_linear;
extern const struct conv_kernel amx_conv;
extern const struct conv_kernel avx512bf16_winograd3;
extern const struct conv_kernel avx512bf16_winograd2;
extern const struct conv_kernel avx512bf16_conv;
extern const struct conv_kernel avx512_winograd4;
extern const struct conv_kernel avx512_winograd2;
extern const struct conv_kernel avx512_conv;
extern const struct conv_kernel avx2_winograd4;
extern const struct conv_kernel avx2_winograd2;
extern const struct conv_kernel avx2_conv;
extern const struct conv_kernel onednn_conv;
extern const struct conv_kernel ref_conv;
extern const struct attention_kernel amx_attention;
extern const struct attention_kernel avx512bf16_attention;
extern const struct attention_kernel avx512_attention;
extern const struct attention_kernel avx2_attention;
extern const struct attention_kernel ref_attention;
extern const struct group_norm_kernel avx512bf16_group_norm;
extern const struct group_norm_kernel avx512_group_norm;
extern const struct group_norm_kernel avx2_group_norm;
extern const struct group_norm_kernel ref_group_norm;
extern const struct layer_norm_kernel avx512bf16_layer_norm;
extern const struct layer_norm_kernel avx512_layer_norm;
extern const struct layer_norm_kernel avx2_layer_norm;
extern const struct layer_norm_kernel ref_layer_norm;

const struct linear_kernel *const linear_kernels[] = {
    &amx_linear, &avx512bf16_linear, &avx512_linear, &avx2_linear, &onednn_linear, &ref_linear, NULL};
const struct conv_kernel *const conv_kernels[] = {
    &amx_conv,
    &avx512bf16_winograd3,
    &avx512bf16_winograd2,
    &avx512bf16_conv,
    &avx512_winograd4,
    &avx512_winograd2,
    &avx2_winograd4,
    &avx2_winograd2,
    &onednn_conv,
    &avx512_conv,
    &avx2_conv,
    &ref_conv,
    NULL,
};
const struct attention_kernel *const attention_kernels[] = {&amx_attention,  &avx512bf16_attention, &avx512_attention,
                                                            &avx2_attention, &ref_attention,        NULL};
const struct group_norm_kernel *const group_norm_kernels[] = {&avx512bf16_group_norm, &avx512_group_norm, &avx2_group_norm, &ref_group_norm,
                                                              NULL};
const struct layer_norm_kernel *const layer_norm_kernels[] = {&avx512bf16_layer_norm, &avx512_layer_norm, &avx2_layer_norm, &ref_layer_norm,
                                                              NULL};
