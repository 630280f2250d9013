/* A small HTTP server on a free port of 127.0.0.1, for what a stranger's server might do. */
#ifndef TESTS_WORKER_SERVER_H
#define TESTS_WORKER_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct server {
    int listener, port;
    pthread_t thread;
    const char *body; /* of GET /picture */
    size_t body_length;
    atomic_int requests;
};

static inline void server_send(int connection, const void *data, size_t length) {
    const char *at = data;
    while (length > 0) {
        ssize_t sent = send(connection, at, length, MSG_NOSIGNAL);
        if (sent <= 0) return;
        at += sent;
        length -= (size_t)sent;
    }
}

static inline void server_text(int connection, const char *text) { server_send(connection, text, strlen(text)); }

static inline void server_nap(long milliseconds) {
    struct timespec nap = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nanosleep(&nap, NULL);
}

/* /picture; /hop/N redirects N times and ends at /picture; /away to a scheme that is not for us; /loop;
 * /endless without a length; /huge with a length only; /slow; /cut closes early; /empty; else 404. */
static inline void server_answer(struct server *server, int connection, const char *path) {
    char head[256];
    int hops;
    if (strcmp(path, "/picture") == 0) {
        snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", server->body_length);
        server_text(connection, head);
        server_send(connection, server->body, server->body_length);
    } else if (sscanf(path, "/hop/%d", &hops) == 1) {
        if (hops > 1)
            snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: /hop/%d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                     hops - 1);
        else
            snprintf(head, sizeof head, "HTTP/1.1 302 Found\r\nLocation: /picture\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        server_text(connection, head);
    } else if (strcmp(path, "/away") == 0) {
        server_text(connection, "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else if (strcmp(path, "/loop") == 0) {
        server_text(connection, "HTTP/1.1 302 Found\r\nLocation: /loop\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else if (strcmp(path, "/endless") == 0) {
        static const char zeros[4096];
        server_text(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        for (int i = 0; i < 1000; i++) server_send(connection, zeros, sizeof zeros);
    } else if (strcmp(path, "/huge") == 0) {
        server_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\nConnection: close\r\n\r\nxxxx");
    } else if (strcmp(path, "/slow") == 0) {
        server_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n");
        for (int i = 0; i < 30; i++) {
            server_text(connection, "x");
            server_nap(100);
        }
    } else if (strcmp(path, "/cut") == 0) {
        server_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nConnection: close\r\n\r\nabc");
    } else if (strcmp(path, "/empty") == 0) {
        server_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    } else {
        server_text(connection, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
}

static inline void *server_run(void *user) {
    struct server *server = user;
    for (;;) {
        char request[4096] = "", path[256] = "";
        int connection = accept(server->listener, NULL, NULL);
        if (connection < 0) return NULL;
        size_t length = 0;
        while (length < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
            ssize_t got = recv(connection, request + length, sizeof request - 1 - length, 0);
            if (got <= 0) break;
            length += (size_t)got;
            request[length] = 0;
        }
        atomic_fetch_add(&server->requests, 1);
        if (sscanf(request, "GET %255s", path) == 1) server_answer(server, connection, path);
        close(connection);
    }
}

static inline void server_start(struct server *server, const char *body, size_t length) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(server, 0, sizeof *server);
    server->body = body;
    server->body_length = length;
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(server->listener, (struct sockaddr *)&address, sizeof address);
    listen(server->listener, 16);
    getsockname(server->listener, (struct sockaddr *)&address, &size);
    server->port = ntohs(address.sin_port);
    pthread_create(&server->thread, NULL, server_run, server);
}

static inline void server_stop(struct server *server) {
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->listener);
}

#endif
