/* Files among the inputs: what the worker gets to see of them.
 *
 * The client's own value stays under its key and is echoed. Where we hold the bytes already, the
 * key with '_' before it ("_image") says so to the worker: "blob:NAME". */
#ifndef SERVICE_INPUT_FILES_H
#define SERVICE_INPUT_FILES_H

#include "service/request.h"

/* Go through the file inputs of `known`:
 * - a data URI longer than INLINE_INPUT_BYTES becomes a blob, its key the blob's URL;
 * - a URL of an uploaded file or of an output of ours gets its "_" key beside it.
 * False with ERROR_ARGUMENT and the key's name in *key when a long data URI cannot be decoded. */
bool input_files_hold(struct request *request, json_t *known, const char **key, struct error *error);

#endif
