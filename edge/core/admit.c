/*
 * Who is answered, and how much: what nobody verified is answered at a bounded
 * rate, a signed request counts once, and who proves that he reads what is sent
 * to him is not held to the budget of all the others.
 *
 * Invariants
 *   I1  a (key, nonce) is remembered for as long as its time would still be believed.
 */
#include "edge/core/state.h"

void core_answer_error(struct core *core, const struct answer *to, enum err err, const char *what)
{
    if (!to->verified) {
        if (core->now_us / 1000000 != core->answer_second) {
            core->answer_second = core->now_us / 1000000;
            core->answers = 0;
        }
        if (++core->answers > UNVERIFIED_ANSWERS_PER_S_MAX) {
            core_count(core, COUNT_answers_suppressed);
            return;
        }
    }
    if (core_room(core) <= EFFECTS_KEPT ||
        !reply_id_ok(to->reply_id, core->config.allow_token_reply_ids)) {
        core_count(core, COUNT_answers_suppressed);
        return;
    }
    struct wire_error *e = core_body(core, sizeof(*e));
    e->code = wire_code_of(err);
    e->message = slice_str(what);
    e->video_id = core_copy(core, to->video_id);
    e->client_id = core_copy(core, to->client_id);
    e->edge_id = core_self(core);
    e->chunk_part = to->chunk_part;
    bool media = to->kind == TOPIC_WATCH_REPLY;
    core_send(core, media ? LANE_MEDIA : LANE_CONTROL, to->kind, core_self(core), to->reply_id,
              MESSAGE_ERROR, e);
}

/* Forget nonces that are too old to be replayed: their ts would be out of the window. */
static void nonces_expire(struct core *core)
{
    while (core->nonce_n) {
        struct nonce_entry *oldest = &core->nonce_ring[core->nonce_head];
        if (core->now_us - oldest->seen_us <= 2ull * TIME_WINDOW_US)
            return;
        map_remove(&core->nonces, slice_of(oldest->key, sizeof(oldest->key)));
        core->nonce_head = (core->nonce_head + 1) % NONCES_MAX;
        core->nonce_n--;
    }
}

/* How many of the remembered ones are of one key: nobody fills the table alone. */
static size_t nonces_of(const struct core *core, const struct pubkey *pk)
{
    size_t n = 0;
    for (size_t i = 0; i < core->nonce_n; i++) {
        const struct nonce_entry *e = &core->nonce_ring[(core->nonce_head + i) % NONCES_MAX];
        n += memcmp(e->key, pk->b, KEY_BYTES) == 0;
    }
    return n;
}

const char core_revoked_why[] = "the credential is revoked; ask the operator of the zone";

bool core_entitled(struct core *core, const struct credential *c, const struct id *streamer_id,
                   const char **ret_why)
{
    if (c->kind != CREDENTIAL_STREAMER || !id_eq(&c->subject, streamer_id) ||
        !credential_valid_at(c, core->utc_us)) {
        *ret_why = "the credential is out of date or not this streamer's; log in again";
        return false;
    }
    if (core_revoked(core, c->serial)) {
        core_count(core, COUNT_revoked_refused);
        *ret_why = core_revoked_why;
        return false;
    }
    return true;
}

static enum err first(struct core *core, const struct pubkey *pk, const struct request_auth *auth)
{
    uint64_t apart =
        auth->ts_us > core->utc_us ? auth->ts_us - core->utc_us : core->utc_us - auth->ts_us;
    if (apart > TIME_WINDOW_US)
        return ERR_UNAUTHORIZED;
    nonces_expire(core);
    if (core->nonce_n == NONCES_MAX)
        return ERR_BUSY;
    if (nonces_of(core, pk) >= NONCES_PER_KEY_MAX)
        return ERR_QUOTA;
    size_t at = (core->nonce_head + core->nonce_n) % NONCES_MAX;
    struct nonce_entry *entry = &core->nonce_ring[at];
    memcpy(entry->key, pk->b, KEY_BYTES);
    memcpy(entry->key + KEY_BYTES, auth->nonce.b, NONCE_BYTES);
    entry->seen_us = core->now_us;
    if (map_put(&core->nonces, slice_of(entry->key, sizeof(entry->key)), entry) != ERR_OK)
        return ERR_UNAUTHORIZED;
    core->nonce_n++;
    return ERR_OK;
}

enum err core_fresh(struct core *core, const struct pubkey *pk, const struct request_auth *auth,
                    const char **ret_why)
{
    enum err err = first(core, pk, auth);
    if (err == ERR_UNAUTHORIZED) {
        core_count(core, COUNT_replays_refused);
        *ret_why = "seen before, or the clock is more than 60 s off";
    } else if (err != ERR_OK) {
        *ret_why = "too many requests at once; try again";
    }
    return err;
}

struct slice core_token(struct core *core, struct slice client_id)
{
    uint8_t *token = core_body(core, TOKEN_BYTES);
    token_make(core->token_secret, client_id, core->utc_us, token);
    return slice_of(token, TOKEN_BYTES);
}

bool core_token_ok(struct core *core, struct slice client_id, struct slice token)
{
    return token_valid(core->token_secret, client_id, core->utc_us, token);
}

bool core_untrusted_left(const struct core *core)
{
    return core->untrusted_left_bytes > 0;
}

void core_untrusted_spend(struct core *core, uint64_t bytes)
{
    core->untrusted_left_bytes -=
        bytes < core->untrusted_left_bytes ? bytes : core->untrusted_left_bytes;
}
