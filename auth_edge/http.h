#ifndef AUTH_EDGE_HTTP_H
#define AUTH_EDGE_HTTP_H
/*
 * GET requests to one server, many at a time, without ever waiting. http.c is
 * the only includer of libcurl: one multi handle, its sockets and its timer
 * behind one descriptor. TLS is verified, redirects are answers like others,
 * proxies and the environment are not looked at. Only host names are resolved in
 * threads, which are libcurl's. One thread.
 *
 *   http_get --> under way --> http_work --> http_take --> http_get_free
 */
#include "base/err.h"
#include "base/slice.h"

enum {
    HTTP_URL_BYTES_MAX = 256,
    HTTP_KEY_BYTES_MAX = 2048,
    HTTP_BEARER_BYTES_MAX = 4096,
    HTTP_BODY_BYTES_MAX = 65536,
    HTTP_HEADER_BYTES_MAX = 32 * 1024, /* of an answer */
    HTTP_CONNECT_TIMEOUT_MS = 5000,
    HTTP_CONNECTIONS_MAX = 128,
    HTTP_CONNECTIONS_KEPT_MAX = 32, /* idle */
    HTTP_EVENTS_MAX = 4,            /* sockets that one call looks at: a TLS handshake each */
    HTTP_ERROR_BYTES = 512,
};

struct http;     /* opaque */
struct http_get; /* opaque */

struct http_config {
    const char *url;     /* https://host[:port][/path]; copied, without slashes at its end */
    const char *key;     /* sent as `apikey` with every request; copied */
    const char *ca_file; /* PEM, instead of the system's certificates; NULL: those */
    bool allow_http;     /* also to a host that is not loopback */
};

/*
 * http_open: nothing is connected yet.
 * ret_error  what is wrong, on failure, to go after the name of the setting.
 * ERR_FORMAT: the URL is malformed or not allowed. ERR_LIMIT: the key is empty, too
 * long, or no text for a header. ERR_UNKNOWN: the CA file cannot be read. ERR_IO:
 * no descriptor is left (errno).
 */
enum err http_open(const struct http_config *config, struct http **ret,
                   char ret_error[static HTTP_ERROR_BYTES]);

/* http_close: all requests must have been freed. NULL is fine. */
void http_close(struct http *http);

/* http_url: the base address without slashes at its end; borrowed. */
const char *http_url(const struct http *http);

/* http_fd: readable when http_work is worth calling; for poll() and epoll only. */
int http_fd(const struct http *http);

/*
 * http_get: begin a request.
 * path     after the base address, begins with a slash; static.
 * bearer   sent as Authorization; empty: nothing is. Its copies are wiped with the
 *          request, but for those that libcurl makes, which are freed.
 * context  the caller's, given back with the reply.
 */
struct http_get *http_get(struct http *http, const char *path, struct slice bearer,
                          unsigned timeout_ms, void *context);
/* http_get_free: also of one that is under way. NULL is fine. */
void http_get_free(struct http_get *get);

/* http_work: at most HTTP_EVENTS_MAX sockets' work. */
void http_work(struct http *http);

struct http_reply {
    void *context;
    long status;       /* 0: no answer came, or not all of it */
    struct slice body; /* borrowed from the request */
    bool too_large;    /* there is more, and body is empty; status holds */
    unsigned after_s;  /* Retry-After; 0: none */
    char why[256];     /* there is no status: what happened, for the log */
};

/* http_take: a request that has ended; false: none has. */
bool http_take(struct http *http, struct http_reply *ret);

#endif
