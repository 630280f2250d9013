/* The models that a worker can run, opened when they are first asked for, within a budget of memory. One
 * thread at a time. */
#ifndef WORKER_MODELS_H
#define WORKER_MODELS_H

#include "inpaint.h"
#include "worker/worker.h"

struct models;

/* The first is opened at once: a worker that can't is of no use. budget: bytes that all of them together may hold. */
bool models_create(const struct worker_options *options, size_t budget, struct models **models, struct error *error);
void models_free(struct models *models); /* NULL is fine */

/* What a claim says: the names, NULL at the end (valid as long as models); NULL when it runs whatever there is. */
const char *const *models_names(const struct models *models);
/* The one last used. */
const char *models_loaded(const struct models *models);

/* The model of this name, opened if need be, after others were closed to stay within the budget: those not
 * used for the longest first. Valid until the next call. The error says which model can't be opened. */
inpaint_model *models_get(struct models *models, const char *name, struct error *error);
/* How many bytes of working memory a picture may take now. */
size_t models_working_limit(const struct models *models);
/* Close what was not used for the longest, but for the one last got. False: there is no other. */
bool models_close_another(struct models *models);
/* A picture was painted, so that more is packed: stay within the budget again. */
void models_settle(struct models *models);
size_t models_bytes(const struct models *models); /* that all open ones hold now */

#endif
