/* Accounts at the broker: what the plugin is told, and what follows from its answers. */
#include "auth_edge/accounts.h"
#include "base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS_MAX = 256, SECOND = 1000 * 1000 };

static const uint8_t key[KEY_BYTES] = {7};
static const uint8_t secret[KEY_BYTES] = {8}, other_secret[KEY_BYTES] = {9};

/* The table, in memory. */
static struct broker_client rows[ROWS_MAX];
static size_t rows_n;

static struct broker_client *row(const char *subject)
{
    for (size_t i = 0; i < rows_n; i++)
        if (strcmp(rows[i].subject.s, subject) == 0)
            return &rows[i];
    return NULL;
}

static enum err find(void *ctx, enum credential_kind kind, const struct id *subject,
                     struct broker_client *ret)
{
    (void)ctx;
    if (!row(subject->s)) {
        if (rows_n == ROWS_MAX)
            return ERR_LIMIT;
        rows[rows_n++] = (struct broker_client){.subject = *subject, .kind = kind, .generation = 1};
    }
    *ret = *row(subject->s);
    return ERR_OK;
}

static enum err confirm(void *ctx, const struct id *subject, enum client_state state)
{
    (void)ctx;
    struct broker_client *r = row(subject->s);
    if (state == CLIENT_GONE && r->state == CLIENT_ENDING) {
        r->state = CLIENT_GONE;
        r->generation++;
    } else if (state == CLIENT_THERE && r->state != CLIENT_ENDING) {
        r->state = CLIENT_THERE;
    }
    return ERR_OK;
}

static enum err next_ending(void *ctx, const char *after, struct broker_client *ret)
{
    struct broker_client *best = NULL;
    (void)ctx;
    for (size_t i = 0; i < rows_n; i++)
        if (rows[i].state == CLIENT_ENDING && strcmp(rows[i].subject.s, after) > 0 &&
            (!best || strcmp(rows[i].subject.s, best->subject.s) < 0))
            best = &rows[i];
    if (!best)
        return ERR_UNKNOWN;
    *ret = *best;
    return ERR_OK;
}

struct world {
    struct accounts *accounts;
    struct arena arena;
    uint64_t now_us;
    char command[ACCOUNTS_COMMAND_BYTES_MAX + 1];
};

static struct world world_open(void)
{
    struct world w = {.now_us = 100 * SECOND};
    rows_n = 0;
    w.accounts = accounts_new(
        key, (struct clients){.find = find, .confirm = confirm, .next_ending = next_ending});
    accounts_secret(w.accounts, secret);
    return w;
}

static void world_close(struct world *w)
{
    while (accounts_drop(w->accounts))
        ;
    accounts_free(w->accounts);
    arena_release(&w->arena);
}

/* The next command; "" if there is none. */
static const char *command(struct world *w)
{
    struct slice text = accounts_command(w->accounts, w->now_us, &w->arena);
    assert_true(text.len < sizeof(w->command));
    if (text.len)
        memcpy(w->command, text.ptr, text.len);
    w->command[text.len] = '\0';
    return w->command;
}

/* Answer the command of that number; error NULL: it was done. */
static void answer(struct world *w, unsigned number, const char *error)
{
    char text[400];
    snprintf(text, sizeof(text),
             "{\"responses\":[{\"command\":\"x\",\"correlationData\":\"%u\"%s%s%s}]}", number,
             error ? ",\"error\":\"" : "", error ? error : "", error ? "\"" : "");
    accounts_response(w->accounts, slice_str(text), &w->arena);
}

/* Connected, and past the first command, which is enrol's password. */
static void link_up(struct world *w, unsigned number)
{
    accounts_link(w->accounts, true);
    assert_non_null(strstr(command(w), "\"setClientPassword\""));
    answer(w, number, NULL);
}

static enum err hold(struct world *w, const char *name, void *held)
{
    struct id id;
    assert_int_equal(id_parse(slice_str(name), &id), ERR_OK);
    return accounts_hold(w->accounts, CREDENTIAL_EDGE, &id, held, w->now_us);
}

static void enrols_password_follows_the_secret(void **state)
{
    (void)state;
    char password[BROKER_PASSWORD_BYTES];
    struct world w = world_open();
    assert_string_equal(command(&w), "");
    accounts_link(w.accounts, true);
    broker_enrol_password(secret, password);
    assert_non_null(strstr(command(&w), password));
    assert_non_null(strstr(w.command, "\"username\":\"enrol\""));
    answer(&w, 1, NULL);
    accounts_secret(w.accounts, secret);
    assert_string_equal(command(&w), "");
    accounts_secret(w.accounts, other_secret);
    broker_enrol_password(other_secret, password);
    assert_non_null(strstr(command(&w), password));
    accounts_link(w.accounts, false);
    assert_string_equal(command(&w), "");
    accounts_link(w.accounts, true);
    assert_non_null(strstr(command(&w), password));
    world_close(&w);
}

static void an_account_is_made_once(void **state)
{
    (void)state;
    char password[BROKER_PASSWORD_BYTES];
    int held;
    bool ok = false;
    struct world w = world_open();
    link_up(&w, 1);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    broker_password(key, CREDENTIAL_EDGE, &row("e1")->subject, 1, password);
    assert_non_null(strstr(command(&w), "\"createClient\""));
    assert_non_null(strstr(w.command, password));
    assert_non_null(strstr(w.command, "\"rolename\":\"edge\""));
    assert_null(accounts_take(w.accounts, &ok));
    answer(&w, 2, NULL);
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_true(ok);
    assert_int_equal(row("e1")->state, CLIENT_THERE);
    w.now_us += ACCOUNTS_AGAIN_MAX_US;
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    command(&w);
    answer(&w, 3, "Client already exists");
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_true(ok);
    assert_string_equal(command(&w), "");
    world_close(&w);
}

/* The table was lost, and the broker's was not. */
static void an_account_of_an_unknown_password_gets_ours(void **state)
{
    (void)state;
    int held;
    bool ok = false;
    struct world w = world_open();
    link_up(&w, 1);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    command(&w);
    answer(&w, 2, "Client already exists");
    assert_null(accounts_take(w.accounts, &ok));
    assert_non_null(strstr(command(&w), "\"setClientPassword\""));
    assert_non_null(strstr(w.command, "\"enableClient\""));
    accounts_response(w.accounts,
                      slice_str("{\"responses\":[{\"correlationData\":\"3\"},"
                                "{\"correlationData\":\"3\",\"error\":\"Internal error\"}]}"),
                      &w.arena);
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_false(ok);
    assert_int_equal(row("e1")->state, CLIENT_WANTED);
    char error[256];
    accounts_error(w.accounts, error);
    assert_string_equal(error, "the broker refuses to change the account of e1: Internal error");
    accounts_error(w.accounts, error);
    assert_string_equal(error, "");
    world_close(&w);
}

static void what_is_taken_away_comes_back_with_another_password(void **state)
{
    (void)state;
    char first[BROKER_PASSWORD_BYTES], second[BROKER_PASSWORD_BYTES];
    int held;
    bool ok = false;
    struct world w = world_open();
    link_up(&w, 1);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    command(&w);
    answer(&w, 2, NULL);
    accounts_take(w.accounts, &ok);
    row("e1")->state = CLIENT_ENDING;
    assert_int_equal(hold(&w, "e1", &held), ERR_BUSY);
    assert_int_equal(accounts_tick(w.accounts, w.now_us), ERR_OK);
    assert_int_equal(accounts_tick(w.accounts, w.now_us), ERR_OK);
    assert_non_null(strstr(command(&w), "\"disableClient\""));
    assert_string_equal(command(&w), "");
    accounts_link(w.accounts, false); /* the answer is lost */
    accounts_link(w.accounts, true);
    assert_non_null(strstr(command(&w), "\"disableClient\""));
    answer(&w, 4, NULL);
    assert_int_equal(row("e1")->state, CLIENT_GONE);
    world_close(&w);

    w = world_open();
    link_up(&w, 1);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    broker_password(key, CREDENTIAL_EDGE, &row("e1")->subject, 1, first);
    broker_password(key, CREDENTIAL_EDGE, &row("e1")->subject, 2, second);
    command(&w);
    answer(&w, 2, NULL);
    accounts_take(w.accounts, &ok);
    row("e1")->state = CLIENT_ENDING;
    assert_int_equal(accounts_tick(w.accounts, w.now_us), ERR_OK);
    command(&w);
    answer(&w, 3, "Client not found");
    assert_int_equal(row("e1")->state, CLIENT_GONE);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    assert_non_null(strstr(command(&w), second));
    answer(&w, 4, "Client already exists");
    assert_non_null(strstr(command(&w), second));
    assert_null(strstr(w.command, first));
    answer(&w, 5, NULL);
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_true(ok);
    world_close(&w);
}

/* He was told, and is here again: so the broker did not let him in. */
static void who_comes_again_at_once_has_his_password_set(void **state)
{
    (void)state;
    int held;
    bool ok = false;
    struct world w = world_open();
    link_up(&w, 1);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    command(&w);
    answer(&w, 2, NULL);
    accounts_take(w.accounts, &ok);
    w.now_us += ACCOUNTS_AGAIN_MAX_US - 1;
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    assert_non_null(strstr(command(&w), "\"createClient\""));
    answer(&w, 3, "Client already exists");
    assert_null(accounts_take(w.accounts, &ok));
    assert_non_null(strstr(command(&w), "\"setClientPassword\""));
    assert_non_null(strstr(w.command, "\"enableClient\""));
    answer(&w, 4, NULL);
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_true(ok);
    for (unsigned i = 0; i < ACCOUNTS_RECENT_MAX; i++) { /* others, until he is forgotten */
        char name[16];
        snprintf(name, sizeof(name), "x%u", i);
        w.now_us += SECOND / 4;
        assert_int_equal(hold(&w, name, &held), ERR_OK);
        command(&w);
        answer(&w, 5 + i, NULL);
        accounts_take(w.accounts, &ok);
    }
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    command(&w);
    answer(&w, 5 + ACCOUNTS_RECENT_MAX, "Client already exists");
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_true(ok);
    world_close(&w);
}

/* Whatever is not answered: who waits is told, what must end is asked to again. */
static void silence_is_no_consent(void **state)
{
    (void)state;
    int held;
    bool ok = true;
    struct world w = world_open();
    assert_int_equal(hold(&w, "e1", &held), ERR_BUSY); /* no broker */
    link_up(&w, 1);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    command(&w);
    w.now_us += ACCOUNTS_ANSWER_MAX_US - 1;
    accounts_tick(w.accounts, w.now_us);
    assert_null(accounts_take(w.accounts, &ok));
    w.now_us++;
    accounts_tick(w.accounts, w.now_us);
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_false(ok);
    answer(&w, 2, NULL); /* too late: it is asked for again */
    assert_int_equal(row("e1")->state, CLIENT_WANTED);

    row("e1")->state = CLIENT_ENDING;
    accounts_tick(w.accounts, w.now_us);
    assert_non_null(strstr(command(&w), "\"disableClient\""));
    w.now_us += ACCOUNTS_ANSWER_MAX_US;
    accounts_tick(w.accounts, w.now_us);
    assert_non_null(strstr(command(&w), "\"disableClient\""));
    answer(&w, 4, NULL);
    assert_int_equal(row("e1")->state, CLIENT_GONE);
    assert_int_equal(hold(&w, "e2", &held), ERR_OK);
    command(&w);
    accounts_link(w.accounts, false);
    assert_ptr_equal(accounts_take(w.accounts, &ok), &held);
    assert_false(ok);
    world_close(&w);
}

static void new_ones_are_rationed(void **state)
{
    (void)state;
    int held;
    bool ok;
    char name[16];
    struct world w = world_open();
    link_up(&w, 1);
    for (int i = 0; i < BROKER_CLIENTS_PER_S_MAX; i++) {
        snprintf(name, sizeof(name), "e%d", i);
        assert_int_equal(hold(&w, name, &held), ERR_OK);
        command(&w);
        answer(&w, (unsigned)(2 + i), NULL);
        assert_non_null(accounts_take(w.accounts, &ok));
    }
    assert_int_equal(hold(&w, "late", &held), ERR_BUSY);
    assert_int_equal(hold(&w, "e0", &held), ERR_OK); /* no new one */
    w.now_us += SECOND;
    assert_int_equal(hold(&w, "late", &held), ERR_OK);
    world_close(&w);
}

static void so_many_wait_and_no_more(void **state)
{
    (void)state;
    int held;
    char name[16];
    struct world w = world_open();
    link_up(&w, 1);
    for (int i = 0; i <= ACCOUNTS_HELD_MAX; i++) {
        w.now_us += SECOND;
        snprintf(name, sizeof(name), "e%d", i);
        assert_int_equal(hold(&w, name, &held), i < ACCOUNTS_HELD_MAX ? ERR_OK : ERR_BUSY);
    }
    for (size_t i = 0; i < rows_n; i++)
        rows[i].state = CLIENT_ENDING;
    accounts_tick(w.accounts, w.now_us);
    unsigned ends = 0, makes = 0;
    while (command(&w)[0] != '\0') {
        ends += strstr(w.command, "\"disableClient\"") != NULL;
        makes += strstr(w.command, "\"createClient\"") != NULL;
    }
    assert_int_equal(makes, ACCOUNTS_HELD_MAX);
    assert_true(ends <= 1); /* of one account, one after the other */
    world_close(&w);
}

static void nonsense_is_nothing(void **state)
{
    (void)state;
    int held;
    bool ok;
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"responses\":7}",
        "{\"responses\":[]}",
        "{\"responses\":[{}]}",
        "{\"responses\":[{\"correlationData\":\"9\"}]}",
        "{\"responses\":[{\"correlationData\":\"0\"}]}",
        "{\"responses\":[{\"correlationData\":\"-2\"}]}",
        "{\"responses\":[{\"correlationData\":\"2\"},{\"correlationData\":\"2\"},{}]}",
    };
    struct world w = world_open();
    link_up(&w, 1);
    assert_int_equal(hold(&w, "e1", &held), ERR_OK);
    command(&w);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        accounts_response(w.accounts, slice_str(texts[i]), &w.arena);
    assert_null(accounts_take(w.accounts, &ok));
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(enrols_password_follows_the_secret),
        cmocka_unit_test(an_account_is_made_once),
        cmocka_unit_test(an_account_of_an_unknown_password_gets_ours),
        cmocka_unit_test(what_is_taken_away_comes_back_with_another_password),
        cmocka_unit_test(who_comes_again_at_once_has_his_password_set),
        cmocka_unit_test(silence_is_no_consent),
        cmocka_unit_test(new_ones_are_rationed),
        cmocka_unit_test(so_many_wait_and_no_more),
        cmocka_unit_test(nonsense_is_nothing),
    };
    assert_int_equal(crypto_init(), ERR_OK);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
