/* The web page's files, embedded at build time from web/. */
#ifndef SERVICE_ASSETS_H
#define SERVICE_ASSETS_H

#include <stddef.h>

struct web_asset {
    const char *path; /* "/app.js"; NULL ends the list */
    const char *etag; /* quoted */
    const unsigned char *data;
    size_t length;
};
extern const struct web_asset web_assets[];

#endif
