/*
 * Why: libcurl's multi handle behind a handful of functions, with the options
 * that make a request safe set in one place.
 *
 *   I1  a bearer is sent to the one server, over verified TLS or where the
 *       operator has said otherwise, and nowhere that an answer points to.
 *   I2  what an answer may take is bounded: bytes, time, connections.
 *   I3  no callback calls libcurl.
 */
#include "auth_edge/http.h"

#include "base/check.h"
#include "base/mem.h"
#include "trust/crypto.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    MS_PER_S = 1000,
    NS_PER_MS = 1000 * 1000,
    PATH_BYTES_MAX = 64,
    HEADER_BYTES = 32 + HTTP_BEARER_BYTES_MAX,
    RETRY_AFTER_S_MAX = 24 * 3600,
};

struct http {
    char url[HTTP_URL_BYTES_MAX + 1];
    char key[HTTP_KEY_BYTES_MAX + 1];
    CURLM *multi;
    CURL *model; /* what all requests have in common */
    int epoll, timer;
};

struct http_get {
    struct http *http;
    void *context;
    CURL *easy;
    struct curl_slist *headers;
    char *body; /* heap */
    size_t body_len, header_len;
    bool too_large;
    char why[CURL_ERROR_SIZE];
};

/* --- libcurl's callbacks ----------------------------------------------------------- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
    struct http *h = arg;
    (void)easy;
    (void)unused;
    struct epoll_event event = {.data.fd = fd};
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        event.events |= EPOLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        event.events |= EPOLLOUT;
    if (what == CURL_POLL_REMOVE)
        epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL);
    else if (epoll_ctl(h->epoll, EPOLL_CTL_MOD, fd, &event) != 0 && errno == ENOENT)
        epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd,
                  &event); /* refused: the request's time-out ends it */
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *arg)
{
    struct http *h = arg;
    (void)multi;
    struct itimerspec at = {0};
    if (ms >= 0) {
        at.it_value.tv_sec = ms / MS_PER_S;
        at.it_value.tv_nsec = ms ? ms % MS_PER_S * NS_PER_MS : 1; /* 0 would disarm it */
    }
    CHECK(timerfd_settime(h->timer, 0, &at, NULL) == 0);
    return 0;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_get *get = arg;
    size_t len = size * n;
    if (len > HTTP_BODY_BYTES_MAX - get->body_len) {
        get->too_large = true;
        return 0;
    }
    if (len == 0)
        return 0;
    get->body = mem_resize(get->body, get->body_len + len);
    memcpy(get->body + get->body_len, bytes, len);
    get->body_len += len;
    return len;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
    struct http_get *get = arg;
    (void)bytes;
    get->header_len += size * n;
    return get->header_len <= HTTP_HEADER_BYTES_MAX ? size * n : 0;
}

/* --- requests ------------------------------------------------------------------------ */

static void header_add(struct http_get *get, const char *name, struct slice value)
{
    char text[HEADER_BYTES];
    int n = snprintf(text, sizeof(text), "%s%.*s", name, SLICE_FMT(value));
    CHECK(n > 0 && (size_t)n < sizeof(text));
    struct curl_slist *longer = curl_slist_append(get->headers, text);
    CHECK(longer);
    get->headers = longer;
    crypto_wipe(text, sizeof(text));
}

struct http_get *http_get(struct http *http, const char *path, struct slice bearer,
                          unsigned timeout_ms, void *context)
{
    char url[HTTP_URL_BYTES_MAX + PATH_BYTES_MAX + 1];
    CHECK(strlen(path) <= PATH_BYTES_MAX);
    snprintf(url, sizeof(url), "%s%s", http->url, path);
    struct http_get *get = mem_alloc(sizeof(*get));
    *get = (struct http_get){
        .http = http, .context = context, .easy = curl_easy_duphandle(http->model)};
    CHECK(get->easy);
    header_add(get, "apikey: ", slice_str(http->key));
    if (bearer.len)
        header_add(get, "Authorization: Bearer ", bearer);
    bool ok = curl_easy_setopt(get->easy, CURLOPT_URL, url) == CURLE_OK;
    ok = ok && curl_easy_setopt(get->easy, CURLOPT_HTTPHEADER, get->headers) == CURLE_OK;
    ok = ok && curl_easy_setopt(get->easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms) == CURLE_OK;
    ok = ok && curl_easy_setopt(get->easy, CURLOPT_WRITEDATA, get) == CURLE_OK;
    ok = ok && curl_easy_setopt(get->easy, CURLOPT_HEADERDATA, get) == CURLE_OK;
    ok = ok && curl_easy_setopt(get->easy, CURLOPT_PRIVATE, get) == CURLE_OK;
    ok = ok && curl_easy_setopt(get->easy, CURLOPT_ERRORBUFFER, get->why) == CURLE_OK;
    ok = ok && curl_multi_add_handle(http->multi, get->easy) == CURLM_OK;
    CHECK(ok); /* all of it is memory */
    return get;
}

void http_get_free(struct http_get *get)
{
    if (!get)
        return;
    curl_multi_remove_handle(get->http->multi, get->easy);
    curl_easy_cleanup(get->easy);
    for (struct curl_slist *one = get->headers; one; one = one->next)
        crypto_wipe(one->data, strlen(one->data));
    curl_slist_free_all(get->headers);
    free(get->body);
    free(get);
}

static int curl_events(uint32_t events)
{
    return (events & EPOLLIN ? CURL_CSELECT_IN : 0) | (events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
           (events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
}

void http_work(struct http *http)
{
    struct epoll_event events[HTTP_EVENTS_MAX];
    int running, n = epoll_wait(http->epoll, events, HTTP_EVENTS_MAX, 0);
    for (int i = 0; i < n; i++) {
        uint64_t times;
        int fd = events[i].data.fd;
        if (fd != http->timer)
            curl_multi_socket_action(http->multi, fd, curl_events(events[i].events), &running);
        else if (read(fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
            curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    }
}

static void reply_read(struct http_get *get, CURLcode result, struct http_reply *ret)
{
    curl_off_t after_s = 0;
    long status = 0;
    *ret = (struct http_reply){.context = get->context, .too_large = get->too_large};
    curl_easy_getinfo(get->easy, CURLINFO_RESPONSE_CODE, &status);
    if (result == CURLE_OK || get->too_large)
        ret->status = status;
    if (result == CURLE_OK)
        ret->body = slice_of(get->body, get->body_len);
    else
        snprintf(ret->why, sizeof(ret->why), "%s",
                 get->why[0] ? get->why : curl_easy_strerror(result));
    if (curl_easy_getinfo(get->easy, CURLINFO_RETRY_AFTER, &after_s) == CURLE_OK && after_s > 0)
        ret->after_s = (unsigned)(after_s < RETRY_AFTER_S_MAX ? after_s : RETRY_AFTER_S_MAX);
}

bool http_take(struct http *http, struct http_reply *ret)
{
    int left;
    const CURLMsg *msg = curl_multi_info_read(http->multi, &left);
    if (!msg)
        return false;
    struct http_get *get = NULL;
    CHECK(curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &get) == CURLE_OK && get);
    reply_read(get, msg->data.result, ret);
    return true;
}

int http_fd(const struct http *http)
{
    return http->epoll;
}

const char *http_url(const struct http *http)
{
    return http->url;
}

/* --- opening --------------------------------------------------------------------------- */

static bool is_loopback(const char *host)
{
    struct in_addr ip;
    if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
        return true;
    return inet_pton(AF_INET, host, &ip) == 1 && (ntohl(ip.s_addr) >> 24) == IN_LOOPBACKNET;
}

/* What is wrong with an address; NULL: nothing. */
static const char *url_fault(CURLU *parsed, const char *url, bool allow_http)
{
    static const CURLUPart unwanted[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY,
                                         CURLUPART_FRAGMENT};
    char *scheme = NULL, *host = NULL, *other = NULL;
    const char *fault = NULL;
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, &host, 0) != CURLUE_OK)
        fault = "is no URL";
    else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0)
        fault = "is neither https nor http";
    else if (strcmp(scheme, "http") == 0 && !allow_http && !is_loopback(host))
        fault = "sends tokens in the clear: use https (or --supabase-allow-http)";
    for (size_t i = 0; !fault && i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
        if (curl_url_get(parsed, unwanted[i], &other, 0) == CURLUE_OK)
            fault = "takes no user, query or fragment";
    curl_free(scheme);
    curl_free(host);
    curl_free(other);
    return fault;
}

static enum err url_take(struct http *http, const struct http_config *config,
                         char ret_error[static HTTP_ERROR_BYTES])
{
    size_t len = strlen(config->url);
    while (len && config->url[len - 1] == '/')
        len--;
    if (len > HTTP_URL_BYTES_MAX) {
        snprintf(ret_error, HTTP_ERROR_BYTES, "has more than %d bytes", HTTP_URL_BYTES_MAX);
        return ERR_FORMAT;
    }
    memcpy(http->url, config->url, len);
    CURLU *parsed = curl_url();
    CHECK(parsed);
    const char *fault = url_fault(parsed, http->url, config->allow_http);
    curl_url_cleanup(parsed);
    if (fault) /* without the URL: it may have a password in it */
        snprintf(ret_error, HTTP_ERROR_BYTES, "%s", fault);
    return fault ? ERR_FORMAT : ERR_OK;
}

static bool is_header_text(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static enum err settings_take(struct http *http, const struct http_config *config,
                              char ret_error[static HTTP_ERROR_BYTES])
{
    enum err err = url_take(http, config, ret_error);
    if (err != ERR_OK)
        return err;
    size_t len = strlen(config->key);
    if (len == 0 || len > HTTP_KEY_BYTES_MAX || !is_header_text(config->key)) {
        snprintf(ret_error, HTTP_ERROR_BYTES, "takes 1 to %d characters without spaces",
                 HTTP_KEY_BYTES_MAX);
        return ERR_LIMIT;
    }
    memcpy(http->key, config->key, len);
    if (config->ca_file && access(config->ca_file, R_OK) != 0) {
        snprintf(ret_error, HTTP_ERROR_BYTES, "%.256s: %s", config->ca_file, strerror(errno));
        return ERR_UNKNOWN;
    }
    return ERR_OK;
}

/* Without CAPATH libcurl keeps the certificates that it has read, for all connections. */
static bool model_set(struct http *h, const struct http_config *config)
{
    CURL *m = h->model;
    bool tls = strncmp(h->url, "https", 5) == 0;
    bool ok = curl_easy_setopt(m, CURLOPT_PROTOCOLS_STR, "https,http") == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_PROXY, "") == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_CAPATH, NULL) == CURLE_OK;
    if (config->ca_file)
        ok = ok && curl_easy_setopt(m, CURLOPT_CAINFO, config->ca_file) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_PIPEWAIT, tls ? 1L : 0L) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_USERAGENT, "edge-cluster") == CURLE_OK;
    ok = ok &&
         curl_easy_setopt(m, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_TIMEOUT_MS) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    ok = ok && curl_easy_setopt(m, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    return ok;
}

static bool multi_set(struct http *h)
{
    CURLM *m = h->multi;
    bool ok = curl_multi_setopt(m, CURLMOPT_SOCKETFUNCTION, on_socket) == CURLM_OK;
    ok = ok && curl_multi_setopt(m, CURLMOPT_SOCKETDATA, h) == CURLM_OK;
    ok = ok && curl_multi_setopt(m, CURLMOPT_TIMERFUNCTION, on_timer) == CURLM_OK;
    ok = ok && curl_multi_setopt(m, CURLMOPT_TIMERDATA, h) == CURLM_OK;
    ok = ok && curl_multi_setopt(m, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)HTTP_CONNECTIONS_MAX) ==
                   CURLM_OK;
    ok = ok &&
         curl_multi_setopt(m, CURLMOPT_MAXCONNECTS, (long)HTTP_CONNECTIONS_KEPT_MAX) == CURLM_OK;
    return ok;
}

static enum err start(struct http *http, const struct http_config *config)
{
    struct epoll_event event = {.events = EPOLLIN};
    http->epoll = epoll_create1(EPOLL_CLOEXEC);
    http->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    event.data.fd = http->timer;
    if (http->epoll < 0 || http->timer < 0 ||
        epoll_ctl(http->epoll, EPOLL_CTL_ADD, http->timer, &event) != 0)
        return ERR_IO;
    http->multi = curl_multi_init();
    http->model = curl_easy_init();
    CHECK(http->multi && http->model && model_set(http, config) && multi_set(http));
    return ERR_OK;
}

/* Half-built is fine. */
void http_close(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->model);
    curl_multi_cleanup(http->multi);
    curl_global_cleanup();
    if (http->timer >= 0)
        close(http->timer);
    if (http->epoll >= 0)
        close(http->epoll);
    crypto_wipe(http, sizeof(*http));
    free(http);
}

enum err http_open(const struct http_config *config, struct http **ret,
                   char ret_error[static HTTP_ERROR_BYTES])
{
    struct http *http = mem_alloc(sizeof(*http));
    http->epoll = http->timer = -1;
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    enum err err = settings_take(http, config, ret_error);
    if (err == ERR_OK) {
        err = start(http, config);
        if (err != ERR_OK)
            snprintf(ret_error, HTTP_ERROR_BYTES, "cannot be used: %s", strerror(errno));
    }
    if (err != ERR_OK) {
        http_close(http);
        return err;
    }
    *ret = http;
    return ERR_OK;
}
