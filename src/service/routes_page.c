/* The web page and its files, from inside the program. */
#include "service/assets.h"
#include "service/gzip.h"
#include "service/routes.h"

#include <stdio.h>
#include <string.h>

static const struct web_asset *find(const char *path) {
    if (strcmp(path, "/") == 0 || (strncmp(path, "/p/", 3) == 0 && strchr(path + 3, '/') == NULL))
        path = "/index.html"; /* /p/ID shows a prediction */
    for (const struct web_asset *asset = web_assets; asset->path != NULL; asset++)
        if (strcmp(asset->path, path) == 0) return asset;
    return NULL;
}

bool page_has(const char *path) { return find(path) != NULL; }

/* Pictures are packed already. */
static bool packs(const char *type) { return strncmp(type, "text/", 5) == 0 || strncmp(type, "image/svg", 9) == 0; }

static bool answer_packed(struct request *request, const struct web_asset *asset) {
    struct buffer packed;
    buffer_init(&packed, asset->length);
    bool fine = gzip_compress(asset->data, asset->length, &packed);
    if (fine) {
        answer_response(request, 200, MHD_create_response_from_buffer(packed.length, packed.data, MHD_RESPMEM_MUST_COPY));
        answer_header(request, "Content-Encoding", "gzip");
    }
    buffer_free(&packed);
    return fine;
}

bool route_page(struct request *request) {
    const struct web_asset *asset = find(request->raw_path);
    if (asset == NULL) return answer_not_found(request);
    char etag[32];
    const char *known = request_header(request, "If-None-Match");
    bool same = known != NULL && strstr(known, asset->etag) != NULL;
    const char *type = content_type_of(asset->path);
    bool pack = packs(type), wanted = pack && !same && gzip_accepted(request_header(request, "Accept-Encoding"));
    if (!wanted || !answer_packed(request, asset))
        answer_response(request, same ? 304 : 200,
                        MHD_create_response_from_buffer(same ? 0 : asset->length, (void *)(uintptr_t)asset->data, MHD_RESPMEM_PERSISTENT));
    if (!same) answer_header(request, "Content-Type", type);
    if (pack) answer_header(request, "Vary", "Accept-Encoding");
    /* Weak: the same page, packed or not. */
    snprintf(etag, sizeof etag, "%s%s", pack ? "W/" : "", asset->etag);
    answer_header(request, "ETag", etag);
    answer_header(request, "Cache-Control", "no-cache");
    answer_header(
        request, "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; font-src 'self'; "
        "manifest-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
    answer_header(request, "Referrer-Policy", "no-referrer");
    answer_header(request, "Cross-Origin-Opener-Policy", "same-origin");
    return true;
}
