/* Any bytes as a LoRA: an error, or sums in a few small layers. */
#include "memory_file.h"
#include "weights/lora.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The layers that it may change. */
static const char header[] =
    "{\"conv_in.weight\":{\"dtype\":\"F16\",\"shape\":[4,9,3,3],\"data_offsets\":[0,648]},"
    "\"mid_block.attentions.0.proj_in.weight\":{\"dtype\":\"BF16\",\"shape\":[4,4,1,1],\"data_offsets\":[648,680]},"
    "\"mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight\":{\"dtype\":\"F32\",\"shape\":[4,6],\"data_offsets\":[680,776]},"
    "\"text_model.encoder.layers.0.self_attn.q_proj.weight\":{\"dtype\":\"F32\",\"shape\":[6,6],\"data_offsets\":[776,920]}}";

static int make_layers(char path[MEMORY_PATH_SIZE]) {
    uint8_t bytes[8 + sizeof header - 1 + 920] = {(sizeof header - 1) & 0xff, (sizeof header - 1) >> 8};
    memcpy(bytes + 8, header, sizeof header - 1);
    return memory_file(bytes, sizeof bytes, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[MEMORY_PATH_SIZE], layers_path[MEMORY_PATH_SIZE];
    int file = memory_file(data, size, path), layers_file = make_layers(layers_path);
    struct weights *layers;
    struct lora *lora;
    struct lora_report report;
    struct error error;
    if (!weights_open_file(layers_path, &layers, &error)) abort();
    if (lora_open(path, &lora, &error)) {
        for (int part = WEIGHTS_UNET; part <= WEIGHTS_TEXT_ENCODER; part += WEIGHTS_TEXT_ENCODER)
            if (!lora_merge(lora, (enum weights_part)part, layers, 0.7, NULL, &error) && !error.message[0]) abort();
        lora_report(lora, &report);
        lora_close(lora);
    }
    read_tensors(layers);
    weights_close(layers);
    close(layers_file);
    close(file);
    return 0;
}
