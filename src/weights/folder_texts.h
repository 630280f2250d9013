/* What a checkpoint's folder in diffusers' layout holds besides weights. */
#ifndef WEIGHTS_FOLDER_TEXTS_H
#define WEIGHTS_FOLDER_TEXTS_H

static const char *const folder_texts[] = {
    "model_index.json",
    "README.md",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "scheduler/scheduler_config.json",
    "tokenizer/vocab.json",
    "tokenizer/merges.txt",
    "tokenizer/tokenizer_config.json",
    "tokenizer/special_tokens_map.json",
    "feature_extractor/preprocessor_config.json",
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "safety_checker/config.json",
};

#endif
