/* Autoencoders: AutoencoderKL (Kingma & Welling's posterior) and AutoencoderTiny (deterministic).
 * Which one a checkpoint has, its config.json's _class_name says. f32 arrays, channels last. */
#ifndef MODEL_VAE_H
#define MODEL_VAE_H

#include "tensor/plan.h"

struct weights;
struct vae;

/* path: vae/ of a checkpoint, or a checkpoint that is a single file. */
bool vae_open(const char *path, struct vae **vae, struct error *error);
/* To decode only: a folder as above, or a file with the decoder of an AutoencoderTiny alone (TAESD),
 * under diffusers' names or its author's. */
bool vae_open_decoder(const char *path, struct vae **vae, struct error *error);
void vae_close(struct vae *vae);
float vae_scaling_factor(const struct vae *vae);          /* 0.18215 where the config does not say */
bool vae_has_posterior(const struct vae *vae);            /* false for Tiny: it has no logvar */
const struct weights *vae_weights(const struct vae *vae); /* as they are in the file */
size_t vae_bytes(const struct vae *vae);
size_t vae_working_bytes(const struct vae *vae); /* of the plans kept */

/* Plans are kept for the sizes last used; vae_forget() frees them. */
void vae_forget(struct vae *vae);
/* For `bench`: the plan last used, or NULL. Its section is 0. */
struct plan *vae_last_plan(const struct vae *vae, bool decoder);

/* image [h][w][3] in [-1, 1], h and w multiples of 8 -> mean [h/8][w/8][4] and, with a posterior,
 * logvar (raw, before any clamp; may be NULL). Not scaled. */
bool vae_encode(struct vae *vae, const struct plan_options *options, const float *image, size_t h, size_t w, size_t memory_limit,
                float *mean, float *logvar, struct error *error);
/* latent [h][w][4] (already divided by the scaling factor) -> image [8h][8w][3], about [-1, 1]. */
bool vae_decode(struct vae *vae, const struct plan_options *options, const float *latent, size_t h, size_t w, size_t memory_limit,
                float *image, struct error *error);

#endif
