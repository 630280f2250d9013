#include "service/server.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/time.h"
#include "service/auth.h"
#include "service/handlers.h"
#include "service/limits.h"
#include "service/metrics.h"
#include "service/origin.h"
#include "service/request.h"
#include "service/routes.h"
#include "service/upload.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CONNECTION_MEMORY = 32 * 1024, /* request line and headers must fit, else libmicrohttpd answers by itself */
    TARGET_BYTES_MAX = 8 * 1024,   /* longer: 414 */
    HEADER_BYTES_MAX = 24 * 1024,  /* names and values of all headers; more: 431 */
    CONNECTION_INCREMENT = 16 * 1024,
    IDLE_SECONDS = 60, /* without a byte, or (server_reap) without a whole request head */
    BODY_SECONDS = 60, /* for a body, plus its length at BODY_RATE */
    BODY_RATE = 16000, /* bytes a second */
    CONNECTIONS_MAX = 16000,
    POLLING_THREADS = 8 /* each resume walks the suspended connections of its thread: the more threads, the shorter */
};

/* What we know of a socket; libmicrohttpd's own time limit sees only silence, not slowness. */
struct peer {
    struct peer *next, *previous;
    int socket;
    _Atomic int64_t since; /* monotonic: waiting for a request, or reading a body, from then on */
    _Atomic uint64_t received;
    enum { PEER_IDLE, PEER_BODY, PEER_BUSY } _Atomic state;
};

struct server {
    struct service *service;
    struct MHD_Daemon *daemon;
    bool metrics_only; /* answers probes and /metrics, whoever asks, and nothing else */
    unsigned connections_max;
    atomic_uint connections;
    pthread_mutex_t lock;
    struct peer *peers;
};

/* ---- peers ---- */

static struct peer *peer_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void peer_state(struct MHD_Connection *connection, int state) {
    struct peer *peer = peer_of(connection);
    if (peer == NULL) return;
    peer->since = time_monotonic();
    peer->received = 0;
    peer->state = state;
}

static void on_connection(void *argument, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode code) {
    struct server *server = argument;
    struct peer *peer = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        server->connections++;
    else
        server->connections--;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *context = peer = memory_zero(sizeof *peer);
        if (peer == NULL || info == NULL) return;
        peer->socket = info->connect_fd;
        peer->since = time_monotonic();
        pthread_mutex_lock(&server->lock);
        peer->next = server->peers;
        if (peer->next != NULL) peer->next->previous = peer;
        server->peers = peer;
        pthread_mutex_unlock(&server->lock);
    } else if (peer != NULL) {
        pthread_mutex_lock(&server->lock);
        if (peer->previous != NULL)
            peer->previous->next = peer->next;
        else
            server->peers = peer->next;
        if (peer->next != NULL) peer->next->previous = peer->previous;
        pthread_mutex_unlock(&server->lock);
        memory_free(peer);
        *context = NULL;
    }
}

/* Our own count: libmicrohttpd gives each polling thread an equal share of its limit, but not of the connections. */
static enum MHD_Result may_connect(void *argument, const struct sockaddr *address, socklen_t length) {
    (void)address, (void)length;
    struct server *server = argument;
    return server->connections < server->connections_max ? MHD_YES : MHD_NO;
}

/* The socket is still open here: it is closed only after on_connection() took the peer off the list. */
void server_reap(struct server *server) {
    int64_t now = time_monotonic();
    pthread_mutex_lock(&server->lock);
    for (struct peer *peer = server->peers; peer != NULL; peer = peer->next) {
        int64_t age = now - peer->since, allowed = INT64_MAX;
        if (peer->state == PEER_IDLE) allowed = (int64_t)IDLE_SECONDS * 1000000;
        if (peer->state == PEER_BODY) allowed = (int64_t)BODY_SECONDS * 1000000 + (int64_t)(peer->received * 1000000 / BODY_RATE);
        if (age > allowed) shutdown(peer->socket, SHUT_RDWR);
    }
    pthread_mutex_unlock(&server->lock);
}

/* ---- send ---- */

static void add_cors(struct request *request) {
    const char *origin = request_header(request, "Origin");
    if (request->any_origin) {
        answer_header(request, "Access-Control-Allow-Origin", "*");
    } else if (origin != NULL && origin_allowed(request->service->options->cors_origins, origin)) {
        answer_header(request, "Access-Control-Allow-Origin", origin);
        answer_header(request, "Vary", "Origin");
        answer_header(request, "Access-Control-Expose-Headers", "Preference-Applied, Location, Retry-After");
    }
}

static enum MHD_Result send_answer(struct request *request) {
    if (request->response == NULL) return MHD_NO;
    request->phase = REQUEST_SEND;
    answer_header(request, "X-Content-Type-Options", "nosniff");
    add_cors(request);
    enum MHD_Result result = MHD_queue_response(request->connection, request->status, request->response);
    MHD_destroy_response(request->response);
    request->response = NULL;
    return result;
}

/* ---- route, auth, limit ---- */

static void answer_options(struct request *request, const char *allow) {
    const char *origin = request_header(request, "Origin");
    answer_empty(request, 204);
    answer_header(request, "Allow", allow);
    if (origin == NULL || !origin_allowed(request->service->options->cors_origins, origin)) return;
    answer_header(request, "Access-Control-Allow-Methods", allow);
    answer_header(request, "Access-Control-Allow-Headers", "Authorization, Content-Type, Prefer, Cancel-After, Last-Event-ID");
    answer_header(request, "Access-Control-Max-Age", "86400");
}

struct head {
    size_t bytes;
    unsigned hosts, lengths, encodings;
    bool bad_name, other_encoding;
};

static enum MHD_Result read_header(void *argument, enum MHD_ValueKind kind, const char *name, const char *value) {
    (void)kind;
    struct head *head = argument;
    size_t length = strlen(name);
    if (value == NULL) value = "";
    head->bytes += length + strlen(value);
    head->bad_name |= length == 0 || strcspn(name, " \t\"(),/:;<=>?@[\\]{}") != length;
    head->hosts += strcasecmp(name, "Host") == 0;
    head->lengths += strcasecmp(name, "Content-Length") == 0;
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        head->encodings++;
        head->other_encoding |= strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

/* Where does the body end, and whose is the request? Two programs that answer this differently would take
 * parts of one client's body for another's request, so there must be one answer only. */
static bool framing_is_sound(struct request *request, const struct head *head) {
    if (head->other_encoding) return answer_problem(request, 501, "Not implemented", "The only Transfer-Encoding is chunked."), false;
    if (!head->bad_name && head->hosts <= 1 && head->lengths + head->encodings <= 1) return true;
    answer_problem(request, 400, "Bad request", "%s",
                   head->bad_name    ? "A header's name has characters that names do not have."
                   : head->hosts > 1 ? "A request has one Host header."
                                     : "A request has one Content-Length or one Transfer-Encoding, not both, and not twice.");
    return false;
}

static bool head_is_short(struct request *request, size_t bytes) {
    if (strlen(request->target) > TARGET_BYTES_MAX)
        return answer_problem(request, 414, "URI too long", "The URL of a request may have %d bytes.", TARGET_BYTES_MAX), false;
    if (bytes > HEADER_BYTES_MAX)
        return answer_problem(request, 431, "Headers too large", "The headers of a request may have %d bytes in all.", HEADER_BYTES_MAX),
               false;
    return true;
}

static bool head_is_sound(struct request *request, const char *version) {
    const char *host = request_header(request, "Host");
    if (host == NULL ? strcmp(version, "HTTP/1.1") == 0 : !host_valid(host))
        return answer_problem(request, 400, "Bad request", "The Host header is missing or malformed."), false;
    if (!origin_base(request->service->options->public_url, request_header(request, "X-Forwarded-Proto"),
                     request_header(request, "X-Forwarded-Host"), request->service->scheme, host, request->service->bound, request->base,
                     sizeof request->base))
        return answer_problem(request, 400, "Bad request", "The Host header is too long."), false;
    return true;
}

static bool phase_route(struct request *request) {
    char allow[96];
    switch (route_find(request, allow, sizeof allow)) {
    case ROUTE_MALFORMED:
        answer_problem(request, 400, "Bad request", "The path of this request is malformed.");
        return false;
    case ROUTE_NOWHERE:
        answer_not_found(request);
        return false;
    case ROUTE_OTHER_METHOD:
        if (request_is(request, "OPTIONS")) {
            answer_options(request, allow);
        } else {
            answer_problem(request, 405, "Method not allowed", "This path answers to %s only.", allow);
            answer_header(request, "Allow", allow);
        }
        return false;
    case ROUTE_FOUND:
        break;
    }
    if (!request->metrics_only || route_is_for_operators(request->route)) return true;
    answer_not_found(request);
    return false;
}

/* From this machine itself, and not through a proxy on it. */
static bool is_local(const struct request *request) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || info->client_addr == NULL || request_header(request, "X-Forwarded-For") != NULL ||
        request_header(request, "Forwarded") != NULL)
        return false;
    if (info->client_addr->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr.s_addr) >> 24 == 127;
    return info->client_addr->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)info->client_addr)->sin6_addr);
}

/* Without tokens, whoever can reach us may do everything, so web pages of others must not: neither by
 * a plain cross-site request nor by pointing a name of theirs at this machine. */
static bool foreign_page(const struct request *request) {
    const char *public_url = request->service->options->public_url;
    const char *host = request_header(request, "Host"), *origin = request_header(request, "Origin");
    const char *agent = request_header(request, "User-Agent");
    bool browser = origin != NULL || request_header(request, "Sec-Fetch-Site") != NULL ||
                   request_header(request, "Accept-Language") != NULL || (agent != NULL && strstr(agent, "Mozilla/") != NULL);
    if (browser && host != NULL && !host_is_ours(host, public_url)) return true;
    bool changes = !request_is(request, "GET") && !request_is(request, "HEAD");
    return changes && origin != NULL && !origin_same(origin, request->base, host) &&
           !origin_allowed(request->service->options->cors_origins, origin);
}

static bool phase_auth(struct request *request) {
    if (request->route->access == ACCESS_ANYONE || request->metrics_only) return true;
    if (request->route->access == ACCESS_LOCAL && is_local(request) && !foreign_page(request)) return true;
    const char *sentence = "You did not pass an authentication token";
    switch (auth_check(request->service->auth, request_header(request, "Authorization"), request->owner)) {
    case AUTH_FINE:
        request->has_owner = true;
        return true;
    case AUTH_OPEN:
        if (!foreign_page(request)) return true;
        answer_problem(request, 403, "Forbidden",
                       "This request comes from a web page of another origin, or by a name that this server was not told. Without tokens "
                       "only its own page may use it: create a token, or start the server with --public-url or --cors.");
        return false;
    case AUTH_WRONG:
        sentence = "You did not pass a valid authentication token";
        break;
    case AUTH_MISSING:
        break;
    }
    answer_problem(request, 401, "Unauthenticated", "%s", sentence);
    answer_header(request, "WWW-Authenticate", "Bearer");
    return false;
}

/* The announced length of the body: 0 without one, UINT64_MAX when it is chunked. */
static uint64_t announced(const struct request *request) {
    const char *length = request_header(request, "Content-Length");
    if (request_header(request, "Transfer-Encoding") != NULL) return UINT64_MAX;
    return length == NULL ? 0 : strtoull(length, NULL, 10);
}

static bool answer_too_large(struct request *request) {
    if (request->route->body == BODY_UPLOAD) return answer_problem(request, 413, NULL, "Files must be less than 100MB in size");
    return answer_problem(request, 413, "Content too large", "The body of this request must be smaller than %zu bytes.",
                          request->service->options->body_bytes);
}

static uint64_t body_limit(const struct request *request) {
    switch (request->route->body) {
    case BODY_JSON:
        return request->service->options->body_bytes;
    case BODY_UPLOAD:
        return FILE_BYTES_MAX + 1024 * 1024; /* the file is counted by itself */
    case BODY_NONE:
        break;
    }
    return DRAIN_BYTES_MAX;
}

/* Who is counted: the token, or without one the address. */
static void caller_of(const struct request *request, char caller[72]) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char address[64] = "";
    if (!request->has_owner && info != NULL && info->client_addr != NULL) {
        socklen_t size = info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        getnameinfo(info->client_addr, size, address, sizeof address, NULL, 0, NI_NUMERICHOST);
    }
    snprintf(caller, 72, "%s %s", request->has_owner ? "token" : "from", request->has_owner ? request->owner : address);
}

static bool phase_rate(struct request *request) {
    char caller[72], detail[96];
    enum limit_kind kind = request->route->body == BODY_JSON ? LIMIT_CREATES : LIMIT_REQUESTS;
    if (request->service->limits == NULL || request->route->access != ACCESS_TOKEN) return true;
    caller_of(request, caller);
    struct limit_answer answer = limits_take(request->service->limits, kind, caller, time_monotonic());
    request->rate_remaining = answer.remaining;
    if (answer.retry_seconds == 0) return true;
    snprintf(detail, sizeof detail, "Request was throttled. Your rate limit resets in ~%ds.", answer.retry_seconds);
    /* One client would send a create again by itself, and have two predictions later. */
    answer_throttled(request, answer.retry_seconds, kind != LIMIT_CREATES, detail);
    return false;
}

static bool phase_limit(struct request *request) {
    if (!phase_rate(request)) return false;
    uint64_t length = announced(request);
    if (length != UINT64_MAX && length > body_limit(request)) return answer_too_large(request), false;
    if (request->route->body == BODY_UPLOAD) {
        request->upload = upload_create(request->service, request_header(request, "Content-Type"));
        if (request->upload == NULL) {
            answer_problem(request, 400, "Bad request", "A file is uploaded as multipart/form-data with a boundary.");
            return false;
        }
    }
    return true;
}

static enum MHD_Result begin(struct request *request, const char *method, const char *version) {
    snprintf(request->method, sizeof request->method, "%s", method);
    request->phase = REQUEST_BODY;
    peer_state(request->connection, PEER_BODY);
    struct head head = {0};
    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, read_header, &head);
    bool sound = framing_is_sound(request, &head);
    request->drain = !sound || !head_is_short(request, head.bytes) || !head_is_sound(request, version) || !phase_route(request) ||
                     !phase_auth(request) || !phase_limit(request);
    if (!request->drain) return MHD_YES;
    /* A refused body is read to its end when that is near, because a client that is still sending
     * would get a reset instead of the answer; not when it waits for leave to send. */
    uint64_t length = announced(request);
    if (!sound) answer_header(request, "Connection", "close");
    if (request_header(request, "Expect") != NULL || !sound || (length != UINT64_MAX && length > DRAIN_BYTES_MAX))
        return send_answer(request);
    return MHD_YES;
}

/* ---- body ---- */

static void refuse(struct request *request) {
    request->drain = true;
    atomic_fetch_sub(&request->service->body_bytes, request->body_charged);
    request->body_charged = 0;
    buffer_free(&request->body);
    buffer_init(&request->body, 0);
}

static void take_json(struct request *request, const char *data, size_t length) {
    atomic_size_t *all = &request->service->body_bytes;
    if (atomic_fetch_add(all, length) + length > BODY_BYTES_IN_FLIGHT) {
        atomic_fetch_sub(all, length);
        refuse(request);
        answer_problem(request, 503, "Busy", "Too many large requests are being received at once; send this one again in a moment.");
        answer_header(request, "Retry-After", "1");
        return;
    }
    request->body_charged += length;
    if (request->body.length + length > request->body.maximum) {
        refuse(request);
        answer_too_large(request);
    } else if (!buffer_append(&request->body, data, length)) {
        refuse(request);
        answer_problem(request, 507, NULL, "There is no memory for the body of this request.");
    }
}

static void take_upload(struct request *request, const char *data, size_t length) {
    switch (upload_data(request->upload, data, length)) {
    case UPLOAD_GOING:
        return;
    case UPLOAD_TOO_LARGE:
        answer_too_large(request);
        break;
    case UPLOAD_MALFORMED:
        answer_problem(request, 400, "Bad request", "The multipart body is malformed.");
        break;
    case UPLOAD_FAILED:
        answer_error(request, upload_error(request->upload));
        break;
    }
    refuse(request);
}

static enum MHD_Result body_piece(struct request *request, const char *data, size_t length) {
    struct peer *peer = peer_of(request->connection);
    request->body_received += length;
    if (peer != NULL) peer->received = request->body_received;
    if (request->body_received > DRAIN_BYTES_MAX && (request->drain || request->route->body == BODY_NONE)) return MHD_NO;
    if (request->drain) return MHD_YES;
    if (request->route->body == BODY_JSON) take_json(request, data, length);
    if (request->route->body == BODY_UPLOAD) take_upload(request, data, length);
    return MHD_YES;
}

static enum MHD_Result body_end(struct request *request) {
    peer_state(request->connection, PEER_BUSY);
    if (request->drain) return send_answer(request);
    request->phase = REQUEST_HANDLE;
    MHD_suspend_connection(request->connection);
    handlers_submit(request->service->handlers, request, request->route->handler);
    return MHD_YES;
}

/* ---- libmicrohttpd's callbacks ---- */

static void *on_target(void *argument, const char *target, struct MHD_Connection *connection) {
    struct server *server = argument;
    struct request *request = request_create(server->service, connection, target);
    if (request != NULL) request->metrics_only = server->metrics_only;
    return request;
}

static enum MHD_Result on_request(void *argument, struct MHD_Connection *connection, const char *url, const char *method,
                                  const char *version, const char *data, size_t *length, void **context) {
    (void)argument, (void)connection, (void)url;
    struct request *request = *context;
    if (request == NULL) return MHD_NO; /* out of memory */
    switch (request->phase) {
    case REQUEST_ROUTE:
        return begin(request, method, version);
    case REQUEST_BODY:
        if (*length == 0) return body_end(request);
        enum MHD_Result result = body_piece(request, data, *length);
        *length = 0;
        return result;
    case REQUEST_HANDLE:
        return MHD_YES;
    case REQUEST_SEND:
        return send_answer(request);
    }
    return MHD_NO;
}

/* The log line. Paths hold ids only where the pattern says so; tokens of streams and names of files
 * are permissions and stay out. */
static void on_completed(void *argument, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code) {
    (void)argument;
    struct request *request = *context;
    peer_state(connection, PEER_IDLE);
    if (request == NULL) return;
    metrics_request(request->service->metrics, request->route, request->status, (double)(time_monotonic() - request->begun) / 1e6);
    double milliseconds = (double)(time_monotonic() - request->begun) / 1000;
    const char *pattern = request->route == NULL ? "(no route)" : request->route->pattern;
    bool named = request->prediction[0] != 0;
    const struct log_field fields[] = {
        {"method", request->method, 0}, {"route", pattern, 0}, {"status", NULL, request->status}, {"milliseconds", NULL, milliseconds}};
    log_about(request->prediction, request->trace);
    log_fields(LOG_INFO, fields, sizeof fields / sizeof fields[0], "%s %s%s%s %u%s %.1f ms", request->method, pattern, named ? " " : "",
               request->prediction, request->status, code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " (cut off)", milliseconds);
    log_about(NULL, NULL);
    request_free(request);
    *context = NULL;
}

static void on_message(void *argument, const char *format, va_list values) __attribute__((format(printf, 2, 0)));
static void on_message(void *argument, const char *format, va_list values) {
    (void)argument;
    char text[256];
    vsnprintf(text, sizeof text, format, values);
    text[strcspn(text, "\n")] = 0;
    log_debug("http: %s", text);
}

/* ---- start and stop ---- */

static unsigned connection_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 900;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    /* The rest is for stores, blobs being sent and deliveries. */
    rlim_t usable = limit.rlim_cur > 512 ? limit.rlim_cur - 256 : limit.rlim_cur / 2;
    return usable > CONNECTIONS_MAX ? CONNECTIONS_MAX : (unsigned)usable;
}

bool server_start(struct service *service, int listener, bool metrics_only, const char *certificate, const char *key, struct server **out,
                  struct error *error) {
    struct server *server = memory_zero(sizeof *server);
    if (server == NULL) {
        close(listener);
        return error_set(error, ERROR_MEMORY, "out of memory");
    }
    server->service = service;
    server->metrics_only = metrics_only;
    server->connections_max = connection_limit();
    pthread_mutex_init(&server->lock, NULL);
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)certificate},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
                                   {MHD_OPTION_END, 0, NULL}};
    if (certificate != NULL)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    server->daemon = MHD_start_daemon(
        flags, 0, may_connect, server, on_request, server, MHD_OPTION_EXTERNAL_LOGGER, on_message, server, MHD_OPTION_LISTEN_SOCKET,
        listener, MHD_OPTION_URI_LOG_CALLBACK, on_target, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, (size_t)CONNECTION_INCREMENT, MHD_OPTION_CONNECTION_LIMIT,
        server->connections_max * (metrics_only ? 1u : (unsigned)POLLING_THREADS), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS,
        MHD_OPTION_THREAD_POOL_SIZE, metrics_only ? 0u : (unsigned)POLLING_THREADS, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (server->daemon == NULL) {
        close(listener);
        pthread_mutex_destroy(&server->lock);
        memory_free(server);
        return error_set(error, ERROR_INTERNAL,
                         certificate == NULL
                             ? "the HTTP server could not be started"
                             : "the HTTPS server could not be started: are the certificate and the key PEM files that belong together?");
    }
    *out = server;
    return true;
}

void server_quiesce(struct server *server) {
    int listener = MHD_quiesce_daemon(server->daemon);
    if (listener >= 0) close(listener);
}

void server_stop(struct server *server) {
    if (server == NULL) return;
    MHD_stop_daemon(server->daemon);
    pthread_mutex_destroy(&server->lock);
    memory_free(server);
}
