/* S3's small documents, by expat, within limits. */
#include "base/memory.h"
#include "store/blob_s3.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 8, PATH_SIZE = 256, TEXT_MAX = 4096 };

struct reading {
    XML_Parser parser;
    char *root; /* 64 bytes */
    char path[PATH_SIZE];
    size_t ends[DEPTH_MAX]; /* of the path at each depth */
    size_t depth;           /* elements that are open, the root among them */
    bool leaf, failed;
    struct buffer text;
    s3_xml_visit *visit;
    void *user;
};

static void fail(struct reading *reading) {
    reading->failed = true;
    XML_StopParser(reading->parser, XML_FALSE);
}

static void on_start(void *user, const XML_Char *name, const XML_Char **attributes) {
    struct reading *reading = user;
    const char *colon = strrchr(name, ':');
    (void)attributes;
    if (colon) name = colon + 1;
    if (reading->failed) return;
    size_t at = reading->depth > 1 ? reading->ends[reading->depth - 1] : 0, length = strlen(name);
    if (reading->depth >= DEPTH_MAX || length >= 64 || at + length + 2 > PATH_SIZE) {
        fail(reading);
        return;
    }
    if (reading->depth == 0)
        snprintf(reading->root, 64, "%s", name);
    else
        at += (size_t)snprintf(reading->path + at, PATH_SIZE - at, "%s%s", at > 0 ? "/" : "", name);
    reading->ends[reading->depth++] = at;
    reading->leaf = true;
    buffer_clear(&reading->text);
}

static void on_text(void *user, const XML_Char *text, int length) {
    struct reading *reading = user;
    if (!reading->failed && reading->leaf && !buffer_append(&reading->text, text, (size_t)length)) fail(reading);
}

static void on_end(void *user, const XML_Char *name) {
    struct reading *reading = user;
    (void)name;
    if (reading->failed) return;
    reading->depth--;
    if (reading->depth > 0) {
        const char *text = reading->text.length > 0 ? reading->text.data : "";
        if (reading->visit && !reading->visit(reading->user, reading->path, reading->leaf ? text : NULL)) {
            fail(reading);
            return;
        }
        reading->path[reading->depth > 1 ? reading->ends[reading->depth - 1] : 0] = 0;
    }
    reading->leaf = false;
}

/* None of S3's documents has one, and entities come from there. */
static void on_doctype(void *user, const XML_Char *name, const XML_Char *system, const XML_Char *public, int internal) {
    (void)name, (void)system, (void)public, (void)internal;
    fail(user);
}

bool s3_xml_read(const char *text, size_t length, char root[64], s3_xml_visit *visit, void *user) {
    static const XML_Memory_Handling_Suite memory = {memory_alloc, memory_resize, memory_free};
    struct reading reading = {.root = root, .visit = visit, .user = user};
    root[0] = 0;
    if (length == 0 || length > INT32_MAX) return false;
    reading.parser = XML_ParserCreate_MM("UTF-8", &memory, NULL);
    if (!reading.parser) return false;
    buffer_init(&reading.text, TEXT_MAX);
    XML_SetUserData(reading.parser, &reading);
    XML_SetElementHandler(reading.parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading.parser, on_text);
    XML_SetStartDoctypeDeclHandler(reading.parser, on_doctype);
    bool ok = XML_Parse(reading.parser, text, (int)length, XML_TRUE) == XML_STATUS_OK && !reading.failed;
    XML_ParserFree(reading.parser);
    buffer_free(&reading.text);
    return ok;
}
