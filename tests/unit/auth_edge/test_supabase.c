/* The provider at its limits, with a Supabase of a few lines in the same thread. */
#include "auth_edge/supabase.h"
#include "auth_edge/token.h"
#include "tests/unit/auth_edge/tokens.h"

#include <arpa/inet.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    WAIT_S = 20,
    REPLY_BYTES = 256 * 1024,
    REQUEST_BYTES = 16384,
    BACKLOG = 512,
};

#define ISSUER "https://p.example/auth/v1"
#define USER "{\"id\":\"5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11\",\"email\":\"lea@example.org\"}"
#define REPLY_OF(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

struct world {
    int listener;
    char url[64];
    struct provider *provider;
    const char *user_reply; /* all of it, as text */
    size_t users_asked, keys_asked;
    int accepted[BACKLOG]; /* connections without a request so far */
    size_t accepted_n;
};

static struct supabase_config config_of(const struct world *w)
{
    return (struct supabase_config){.url = w->url, .key = "publishable", .issuer = ISSUER};
}

static int enter(void **state)
{
    char error[SUPABASE_ERROR_BYTES];
    struct world *w = calloc(1, sizeof(*w));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int room = 2 * REPLY_BYTES;
    assert_non_null(w);
    assert_int_equal(crypto_init(), ERR_OK);
    assert_ptr_not_equal(signal(SIGPIPE, SIG_IGN), SIG_ERR);
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(w->listener, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    assert_int_equal(bind(w->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(w->listener, BACKLOG), 0);
    assert_int_equal(getsockname(w->listener, (struct sockaddr *)&at, &len), 0);
    snprintf(w->url, sizeof(w->url), "http://127.0.0.1:%d", ntohs(at.sin_port));
    struct supabase_config config = config_of(w);
    assert_int_equal(supabase_open(&config, &w->provider, error), ERR_OK);
    w->user_reply = REPLY_OF("200 OK", USER);
    *state = w;
    return 0;
}

static int leave(void **state)
{
    struct world *w = *state;
    w->provider->close(w->provider);
    for (size_t i = 0; i < w->accepted_n; i++)
        close(w->accepted[i]);
    close(w->listener);
    free(w);
    return 0;
}

static void write_all(int fd, const char *text)
{
    size_t left = strlen(text);
    while (left) {
        ssize_t n = write(fd, text, left);
        if (n <= 0)
            return; /* it has read enough */
        text += n;
        left -= (size_t)n;
    }
}

/* One request, which is small enough to come in one piece. */
static void serve(struct world *w, int fd)
{
    char request[REQUEST_BYTES];
    ssize_t n = read(fd, request, sizeof(request) - 1);
    assert_true(n > 0);
    request[n] = '\0';
    assert_non_null(strstr(request, "\r\n\r\n"));
    assert_non_null(strstr(request, "\r\napikey: publishable\r\n"));
    if (strncmp(request, "GET /auth/v1/user HTTP/1.1\r\n", 28) == 0) {
        w->users_asked++;
        assert_non_null(strstr(request, "\r\nAuthorization: Bearer ey"));
        write_all(fd, w->user_reply);
    } else {
        w->keys_asked++;
        assert_null(strstr(request, "Authorization"));
        write_all(fd, REPLY_OF("200 OK", "{\"keys\":[]}"));
    }
    close(fd);
}

/* Whatever waits at the server's end. */
static void serve_all(struct world *w)
{
    struct pollfd fds[BACKLOG + 1] = {{.fd = w->listener, .events = POLLIN}};
    size_t n = 0;
    for (; n < w->accepted_n; n++)
        fds[n + 1] = (struct pollfd){.fd = w->accepted[n], .events = POLLIN};
    assert_true(poll(fds, n + 1, 0) >= 0);
    w->accepted_n = 0;
    for (size_t i = 0; i < n; i++) {
        if (fds[i + 1].revents)
            serve(w, fds[i + 1].fd);
        else
            w->accepted[w->accepted_n++] = fds[i + 1].fd;
    }
    if (fds[0].revents && w->accepted_n < BACKLOG) {
        int fd = accept(w->listener, NULL, NULL);
        assert_true(fd >= 0);
        w->accepted[w->accepted_n++] = fd;
    }
}

static struct login *wait_answer(struct world *w)
{
    time_t until = time(NULL) + WAIT_S;
    while (time(NULL) < until) {
        struct pollfd provider = {.fd = w->provider->fd(w->provider), .events = POLLIN};
        serve_all(w);
        poll(&provider, 1, 1); /* or else it is the server's turn */
        struct login *login = w->provider->take(w->provider);
        if (login)
            return login;
    }
    fail_msg("no answer");
    return NULL;
}

/* The token of one user, whose signature only Supabase can check: as many as one likes. */
static struct login *login_of(unsigned number)
{
    struct login *login = login_new();
    size_t len = (size_t)(strrchr(TOKEN_HS256, '.') - TOKEN_HS256);
    login->token_len = (size_t)snprintf(login->token, sizeof(login->token), "%.*s.%08u", (int)len,
                                        TOKEN_HS256, number);
    return login;
}

static enum err check(struct world *w, struct login *login)
{
    return w->provider->check(w->provider, login);
}

static void a_user_is_let_in_and_the_token_is_wiped(void **state)
{
    struct world *w = *state;
    assert_int_equal(check(w, login_of(1)), ERR_OK);
    assert_int_equal(w->provider->pending(w->provider), 1);
    struct login *login = wait_answer(w);
    assert_int_equal(login->err, ERR_OK);
    assert_string_equal(login->subject.s, "5f0c6f9e-8a3e-4d0b-9c52-4f5b1f0e7a11");
    assert_true(slice_eq_str(slice_of(login->name, login->name_len), "lea"));
    for (size_t i = 0; i < sizeof(login->token); i++)
        assert_int_equal(login->token[i], 0);
    login_free(login);
    assert_int_equal(w->provider->pending(w->provider), 0);
    assert_int_equal(w->keys_asked, 1);
    assert_int_equal(w->users_asked, 1);
}

static void what_is_no_token_stays_the_callers(void **state)
{
    struct world *w = *state;
    struct login *login = login_of(1);
    login->token[0] = 'x';
    assert_int_equal(check(w, login), ERR_UNAUTHORIZED);
    assert_non_null(login->message);
    login->token_len = 0;
    assert_int_equal(check(w, login), ERR_UNAUTHORIZED);
    login_free(login);
    assert_int_equal(w->provider->pending(w->provider), 0);
}

static void tokens_and_logins_have_limits(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < SUPABASE_TOKENS_MAX; i++)
        assert_int_equal(check(w, login_of(i)), ERR_OK);
    struct login *refused = login_of(SUPABASE_TOKENS_MAX);
    assert_int_equal(check(w, refused), ERR_BUSY);
    for (unsigned i = SUPABASE_TOKENS_MAX; i < SUPABASE_LOGINS_MAX; i++)
        assert_int_equal(check(w, login_of(i - SUPABASE_TOKENS_MAX)), ERR_OK);
    login_free(refused);
    refused = login_of(0);
    assert_int_equal(check(w, refused), ERR_BUSY);
    assert_int_equal(w->provider->pending(w->provider), SUPABASE_LOGINS_MAX);
    for (unsigned i = 0; i < SUPABASE_LOGINS_MAX; i++) {
        struct login *login = wait_answer(w);
        assert_int_equal(login->err, ERR_OK);
        login_free(login);
    }
    assert_int_equal(w->users_asked, SUPABASE_TOKENS_MAX);
    assert_int_equal(w->keys_asked, 1);
    assert_int_equal(check(w, refused), ERR_OK);
    login_free(wait_answer(w));
}

static void closing_gives_up_what_is_under_way(void **state)
{
    struct world *w = *state;
    assert_int_equal(check(w, login_of(1)), ERR_OK);
    login_free(wait_answer(w));
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(check(w, login_of(i)), ERR_OK);
        assert_int_equal(check(w, login_of(i)), ERR_OK);
    }
    assert_int_equal(w->provider->pending(w->provider), 20);
}

static struct login *ask(struct world *w, const char *user_reply)
{
    static unsigned number;
    w->user_reply = user_reply;
    assert_int_equal(check(w, login_of(++number)), ERR_OK);
    return wait_answer(w);
}

static enum err answer(struct world *w, const char *user_reply)
{
    struct login *login = ask(w, user_reply);
    enum err err = login->err;
    login_free(login);
    return err;
}

/* A 200 whose header and body have these lengths. */
static char *reply_of(size_t header_len, size_t body_len)
{
    static char text[REPLY_BYTES];
    static const char start[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nX: ";
    size_t fill = header_len - (sizeof(start) - 1) - 4;
    memcpy(text, start, sizeof(start) - 1);
    memset(text + sizeof(start) - 1, 'x', fill);
    char *body = text + header_len;
    memcpy(body - 4, "\r\n\r\n", 4);
    memset(body, ' ', body_len);
    memcpy(body, USER, sizeof(USER) - 1);
    body[body_len] = '\0';
    return text;
}

static void answers_have_limits(void **state)
{
    struct world *w = *state;
    assert_int_equal(answer(w, reply_of(100, HTTP_BODY_BYTES_MAX)), ERR_OK);
    struct login *login = ask(w, reply_of(100, HTTP_BODY_BYTES_MAX + 1));
    assert_int_equal(login->err, ERR_BUSY);
    assert_non_null(strstr(login->message, "metadata"));
    login_free(login);
    assert_int_equal(answer(w, reply_of(HTTP_HEADER_BYTES_MAX, 200)), ERR_OK); /* no back-off */
    assert_int_equal(answer(w, reply_of(HTTP_HEADER_BYTES_MAX + 1, 200)), ERR_BUSY);
    login = login_of(0);
    assert_int_equal(check(w, login), ERR_BUSY); /* a back-off */
    assert_non_null(strstr(login->message, "try again"));
    login_free(login);
}

static void an_empty_answer_says_nothing(void **state)
{
    assert_int_equal(answer(*state, REPLY_OF("200 OK", "")), ERR_BUSY);
}

static void a_refusal_is_one(void **state)
{
    struct login *login = ask(*state, REPLY_OF("403 Forbidden", "{}"));
    assert_int_equal(login->err, ERR_UNAUTHORIZED);
    assert_non_null(login->message);
    login_free(login);
}

static enum err open_with(struct world *w, const char *url, const char *key, const char *issuer)
{
    char error[SUPABASE_ERROR_BYTES] = "";
    struct provider *provider = NULL;
    struct supabase_config config = config_of(w);
    config.url = url;
    config.key = key;
    config.issuer = issuer;
    enum err err = supabase_open(&config, &provider, error);
    assert_true((err == ERR_OK) == (provider != NULL));
    assert_true((err == ERR_OK) == (error[0] == '\0'));
    if (provider)
        provider->close(provider);
    return err;
}

static const char *letters(const char *before, size_t n)
{
    static char text[HTTP_KEY_BYTES_MAX + 2];
    snprintf(text, sizeof(text), "%s", before);
    memset(text + strlen(before), 'k', n - strlen(before));
    text[n] = '\0';
    return text;
}

static void settings_have_limits(void **state)
{
    struct world *w = *state;
    assert_int_equal(open_with(w, letters("https://", HTTP_URL_BYTES_MAX), "k", NULL), ERR_OK);
    assert_int_equal(open_with(w, letters("https://", HTTP_URL_BYTES_MAX + 1), "k", NULL),
                     ERR_FORMAT);
    assert_int_equal(open_with(w, "", "k", NULL), ERR_FORMAT);
    assert_int_equal(open_with(w, "///", "k", NULL), ERR_FORMAT);
    assert_int_equal(open_with(w, w->url, letters("", HTTP_KEY_BYTES_MAX), NULL), ERR_OK);
    assert_int_equal(open_with(w, w->url, letters("", HTTP_KEY_BYTES_MAX + 1), NULL), ERR_FORMAT);
    assert_int_equal(open_with(w, w->url, "", NULL), ERR_FORMAT);
    assert_int_equal(open_with(w, w->url, NULL, NULL), ERR_FORMAT);
    assert_int_equal(open_with(w, w->url, "k", letters("", TOKEN_ISSUER_BYTES_MAX)), ERR_OK);
    assert_int_equal(open_with(w, w->url, "k", letters("", TOKEN_ISSUER_BYTES_MAX + 1)),
                     ERR_FORMAT);
    assert_int_equal(open_with(w, w->url, "k", "none"), ERR_OK);
}

static void http_is_for_this_machine(void **state)
{
    static const char *const allowed[] = {"http://localhost", "http://127.0.0.1:8000/",
                                          "http://127.9.9.9", "http://[::1]:1",
                                          "https://10.0.0.1", "https://p.example/some/path//"};
    static const char *const refused[] = {"http://10.0.0.1",
                                          "http://128.0.0.1",
                                          "http://127.1.example",
                                          "http://localhost.example",
                                          "http://[::2]",
                                          "ftp://127.0.0.1",
                                          "127.0.0.1",
                                          "https://u@p.example"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        assert_int_equal(open_with(w, allowed[i], "k", NULL), ERR_OK);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(open_with(w, refused[i], "k", NULL), ERR_FORMAT);
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, enter, leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_user_is_let_in_and_the_token_is_wiped),
        IN_WORLD(what_is_no_token_stays_the_callers),
        IN_WORLD(tokens_and_logins_have_limits),
        IN_WORLD(closing_gives_up_what_is_under_way),
        IN_WORLD(answers_have_limits),
        IN_WORLD(an_empty_answer_says_nothing),
        IN_WORLD(a_refusal_is_one),
        IN_WORLD(settings_have_limits),
        IN_WORLD(http_is_for_this_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
