/*
 * Who this edge is to a locked broker (docs/PROTOCOL.md §2.7).
 *
 *   enrolling --a login came with the zone's reply--> itself
 *       ^                                                |
 *       +-------------- the broker says no --------------+
 *
 * Invariants
 *   I1  a login is kept before it is used, or lost with what came along with it: then asked for
 *       again.
 *   I2  the connections are made anew only when user or password changes.
 */
#include "edge/core/state.h"
#include "trust/broker.h"

static void set_text(char ret[static BROKER_TEXT_BYTES_MAX + 1], struct slice text)
{
    memcpy(ret, text.ptr, text.len);
    ret[text.len] = '\0';
}

/* false: it was so before (I2). */
static bool become(struct core *core, const struct broker_login *login)
{
    struct edge_login *mine = &core->login;
    if (slice_eq_str(login->user, mine->user) && slice_eq_str(login->password, mine->password))
        return false;
    set_text(mine->user, login->user);
    set_text(mine->password, login->password);
    mine->enrolling = slice_eq_str(login->user, BROKER_USER_ENROL);
    return true;
}

static bool become_enroller(struct core *core)
{
    char password[BROKER_PASSWORD_BYTES];
    broker_enrol_password(core->config.zone_secret, password);
    bool changed = become(core, &(struct broker_login){.user = slice_str(BROKER_USER_ENROL),
                                                       .password = slice_str(password)});
    crypto_wipe(password, sizeof(password));
    core->enrol_wanted = true;
    core->enrol_next_us = core->now_us;
    return changed;
}

void login_start(struct core *core)
{
    struct arena arena = {0};
    struct broker_login kept;
    if (!core->config.broker_accounts)
        return;
    if (broker_login_decode(core->config.broker_login, &arena, &kept) == ERR_OK)
        become(core, &kept);
    else
        become_enroller(core);
    arena_release(&arena);
}

const struct edge_login *core_login(const struct core *core)
{
    return core->config.broker_accounts ? &core->login : NULL;
}

void login_received(struct core *core, struct slice sealed)
{
    struct broker_login login;
    if (!core->config.broker_accounts)
        return;
    if (!sealed.len) {
        if (core->login.enrolling)
            core_log(core, true,
                     "no login at the broker came with the credential: start auth_edge "
                     "with --broker-accounts");
        return;
    }
    size_t len = sealed.len > SEAL_OVERHEAD_BYTES ? sealed.len - SEAL_OVERHEAD_BYTES : 0;
    uint8_t *plain = core_body(core, len ? len : 1);
    if (!len || seal_open_signer(&core->config.key, sealed, plain) != ERR_OK ||
        broker_login_decode(slice_of(plain, len), &core->fx->arena, &login) != ERR_OK ||
        !slice_eq(login.user, core_self(core))) { /* whoever knows our key can seal */
        core_count(core, COUNT_messages_rejected);
        return;
    }
    if (!become(core, &login))
        return;
    core_keep(core, "broker", slice_of(plain, len)); /* I1 */
    core_login_changed(core);
}

void login_denied(struct core *core)
{
    if (!core->config.broker_accounts)
        return;
    if (core->login.enrolling) {
        core_log(core, true,
                 "the broker does not let this edge in to enrol: is its zone secret "
                 "the zone's?");
        return;
    }
    core_log(core, true, "the broker refuses this edge's login: enrolling for another one");
    if (become_enroller(core))
        core_login_changed(core);
}
