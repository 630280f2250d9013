#include "service/multipart.h"
#include "base/memory.h"

#include <string.h>
#include <strings.h>

enum {
    BOUNDARY_MAX = 200,
    HEADERS_MAX = 8192, /* of one part */
    PARTS_MAX = 64,
    VALUE_MAX = 1024 /* of a name, a file name, a type */
};

/*  PREAMBLE -> AFTER_BOUNDARY -> HEADERS -> BODY -> AFTER_BOUNDARY -> ... -> EPILOGUE */
enum state { PREAMBLE, AFTER_BOUNDARY, HEADERS, BODY, EPILOGUE, BROKEN };

struct multipart {
    struct multipart_reader reader;
    enum state state;
    char delimiter[BOUNDARY_MAX + 5]; /* "\r\n--BOUNDARY" */
    size_t delimiter_length;
    size_t matched;  /* bytes of the delimiter seen at the end of what was fed */
    size_t borrowed; /* of these, the CRLF that ended a head and may begin the delimiter too */
    size_t parts;
    char headers[HEADERS_MAX + 1]; /* of the part being begun; after a boundary its first two bytes */
    size_t headers_length;
    char name[VALUE_MAX], filename[VALUE_MAX], type[VALUE_MAX];
};

/* ---- the request's Content-Type ---- */

static bool find_boundary(const char *content_type, char boundary[BOUNDARY_MAX + 1]) {
    if (content_type == NULL || strncasecmp(content_type, "multipart/form-data", 19) != 0) return false;
    const char *rest = content_type + 19;
    while ((rest = strchr(rest, ';')) != NULL) {
        rest++;
        rest += strspn(rest, " \t");
        if (strncasecmp(rest, "boundary=", 9) != 0) continue;
        rest += 9;
        bool quoted = *rest == '"';
        rest += quoted;
        size_t length = strcspn(rest, quoted ? "\"" : "; \t");
        if (length == 0 || length > BOUNDARY_MAX) return false;
        memcpy(boundary, rest, length);
        boundary[length] = 0;
        return true;
    }
    return false;
}

struct multipart *multipart_create(const char *content_type, const struct multipart_reader *reader) {
    char boundary[BOUNDARY_MAX + 1];
    if (!find_boundary(content_type, boundary)) return NULL;
    struct multipart *multipart = memory_zero(sizeof *multipart);
    if (multipart == NULL) return NULL;
    multipart->reader = *reader;
    memcpy(multipart->delimiter, "\r\n--", 4);
    multipart->delimiter_length = 4 + strlen(boundary);
    memcpy(multipart->delimiter + 4, boundary, multipart->delimiter_length - 4);
    multipart->matched = 2; /* the first boundary needs no line before it */
    return multipart;
}

void multipart_free(struct multipart *multipart) { memory_free(multipart); }

/* ---- a part's headers ---- */

/* The value of `key="value"` or key=value in a header's parameters; browsers escape '"' as %22,
 * others as \". False when it is not there or too long. */
static bool parameter(const char *header, const char *key, char value[VALUE_MAX]) {
    size_t wanted = strlen(key);
    const char *rest = header;
    for (;;) {
        rest += strcspn(rest, ";\"");
        if (*rest == '"') { /* skip over another parameter's quotes */
            for (rest++; *rest != 0 && *rest != '"'; rest++)
                if (*rest == '\\' && rest[1] != 0) rest++;
            if (*rest == 0) return false;
            rest++;
            continue;
        }
        if (*rest == 0) return false;
        rest++;
        rest += strspn(rest, " \t");
        if (strncasecmp(rest, key, wanted) != 0 || rest[wanted] != '=') continue;
        rest += wanted + 1;
        size_t used = 0;
        bool quoted = *rest == '"';
        for (rest += quoted; *rest != 0 && (quoted ? *rest != '"' : *rest != ';' && *rest != ' '); rest++) {
            if (quoted && *rest == '\\' && (rest[1] == '"' || rest[1] == '\\')) rest++;
            if (used == VALUE_MAX - 1) return false;
            value[used++] = *rest;
        }
        value[used] = 0;
        return true;
    }
}

static void read_header(struct multipart *multipart, const char *line, bool *has_filename, bool *has_type) {
    if (strncasecmp(line, "Content-Disposition:", 20) == 0) {
        if (!parameter(line + 20, "name", multipart->name)) multipart->name[0] = 0;
        *has_filename = parameter(line + 20, "filename", multipart->filename);
    } else if (strncasecmp(line, "Content-Type:", 13) == 0) {
        line += 13;
        line += strspn(line, " \t");
        size_t length = strlen(line);
        if (length >= VALUE_MAX) return;
        memcpy(multipart->type, line, length + 1);
        *has_type = length > 0;
    }
}

/* The head of a part is complete: its lines, each ended by CRLF. */
static bool begin_part(struct multipart *multipart) {
    bool has_filename = false, has_type = false;
    multipart->name[0] = 0;
    multipart->headers[multipart->headers_length] = 0;
    if (++multipart->parts > PARTS_MAX) return false;
    for (size_t i = 0; i < multipart->headers_length; i++)
        if (multipart->headers[i] == 0) multipart->headers[i] = '_';
    char *line = multipart->headers;
    while (*line != 0) {
        char *end = strstr(line, "\r\n");
        if (end == NULL) return false;
        *end = 0;
        read_header(multipart, line, &has_filename, &has_type);
        line = end + 2;
    }
    struct multipart_part part = {multipart->name, has_filename ? multipart->filename : NULL, has_type ? multipart->type : NULL};
    return multipart->reader.begin(multipart->reader.context, &part);
}

/* ---- the stream ---- */

/* The start of a delimiter that is none: its bytes from earlier pieces are content after all, `here`
 * of them being in this one. */
static bool give_back(struct multipart *multipart, size_t here, bool keep) {
    size_t earlier = multipart->matched > here ? multipart->matched - here : 0;
    size_t skipped = multipart->borrowed;
    multipart->matched = multipart->borrowed = 0;
    if (!keep || earlier <= skipped) return true;
    return multipart->reader.data(multipart->reader.context, multipart->delimiter + skipped, earlier - skipped);
}

static bool content(struct multipart *multipart, const char *data, size_t length, bool keep) {
    return !keep || length == 0 || multipart->reader.data(multipart->reader.context, data, length);
}

/* Look for the delimiter; what is none of it goes to the reader if `keep`. Returns how many bytes
 * were used: up to the end of the delimiter when it was found, else all. A CR stands only at the
 * delimiter's front, so that a match that fails can begin anew only where it failed. */
static size_t scan(struct multipart *multipart, const char *data, size_t length, bool keep, bool *found, bool *fine) {
    *found = false;
    *fine = true;
    for (size_t i = 0; i < length && *fine;) {
        if (multipart->matched == 0) {
            const char *next = memchr(data + i, '\r', length - i);
            if (next == NULL) break;
            i = (size_t)(next - data);
        }
        if (data[i] != multipart->delimiter[multipart->matched]) {
            *fine = give_back(multipart, i, keep);
            continue;
        }
        i++;
        if (++multipart->matched == multipart->delimiter_length) {
            size_t before = i > multipart->matched ? i - multipart->matched : 0;
            multipart->matched = multipart->borrowed = 0;
            *found = true;
            *fine = content(multipart, data, before, keep);
            return i;
        }
    }
    size_t held = multipart->matched < length ? multipart->matched : length;
    if (*fine) *fine = content(multipart, data, length - held, keep);
    return length;
}

/* Two bytes tell what follows a boundary: CRLF a part, "--" the end. Spaces before CRLF are allowed. */
static bool after_boundary(struct multipart *multipart, char byte) {
    if (multipart->headers_length == 0 && (byte == ' ' || byte == '\t')) return true;
    multipart->headers[multipart->headers_length++] = byte;
    if (multipart->headers_length < 2) return byte == '\r' || byte == '-';
    multipart->headers_length = 0;
    if (multipart->headers[0] == '\r' && byte == '\n') {
        multipart->state = HEADERS;
        return true;
    }
    multipart->state = EPILOGUE;
    return multipart->headers[0] == '-' && byte == '-';
}

static bool header_byte(struct multipart *multipart, char byte) {
    if (multipart->headers_length == HEADERS_MAX) return false;
    multipart->headers[multipart->headers_length++] = byte;
    size_t length = multipart->headers_length;
    const char *text = multipart->headers;
    bool blank = length >= 2 && memcmp(text + length - 2, "\r\n", 2) == 0 &&
                 (length == 2 || (length >= 4 && memcmp(text + length - 4, "\r\n", 2) == 0));
    if (!blank) return true;
    multipart->headers_length -= 2;
    if (!begin_part(multipart)) return false;
    multipart->headers_length = 0;
    multipart->state = BODY;
    /* An empty part: the boundary may follow the blank line at once, whose CRLF is then its own. */
    multipart->matched = multipart->borrowed = 2;
    return true;
}

static size_t feed_scanned(struct multipart *multipart, const char *data, size_t length, bool *fine) {
    bool found, body = multipart->state == BODY;
    size_t used = scan(multipart, data, length, body, &found, fine);
    if (*fine && found) {
        if (body) *fine = multipart->reader.end(multipart->reader.context);
        multipart->state = AFTER_BOUNDARY;
        multipart->headers_length = 0;
    }
    return used;
}

bool multipart_feed(struct multipart *multipart, const char *data, size_t length) {
    bool fine = multipart->state != BROKEN;
    size_t i = 0;
    while (fine && i < length) {
        switch (multipart->state) {
        case PREAMBLE:
        case BODY:
            i += feed_scanned(multipart, data + i, length - i, &fine);
            break;
        case AFTER_BOUNDARY:
            fine = after_boundary(multipart, data[i++]);
            break;
        case HEADERS:
            fine = header_byte(multipart, data[i++]);
            break;
        case EPILOGUE:
            return true;
        case BROKEN:
            fine = false;
            break;
        }
    }
    if (!fine) multipart->state = BROKEN;
    return fine;
}

bool multipart_complete(const struct multipart *multipart) { return multipart->state == EPILOGUE; }
