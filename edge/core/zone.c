/*
 * The edge's place in its zone: parameters and credential, asked for until they
 * come, kept, renewed at two thirds of their life (docs/PROTOCOL.md §2.4).
 *
 *   zone_tick --request--> zone_reply --accepted--> ready, kept in the database
 *        ^                     |
 *        +--- back-off <-------+ (no answer, or one that does not hold)
 *
 * Asked for before its time: when anything names a later key of the zone (nobody verified that),
 * and while the credential is revoked, for the operator may admit the edge again.
 */
#include "edge/core/state.h"

enum {
    ENROL_DELAY_MIN_US = 1000 * 1000,
    ENROL_DELAY_MAX_US = 30 * 1000 * 1000,
    NEWER_EVERY_US = 10 * 1000 * 1000,
    NEWER_JITTER_US = 1000 * 1000, /* all edges hear of a new key at once */
};

static bool adopt(struct core *core, struct slice params, struct slice credential)
{
    struct zone_params zone;
    struct credential cred;
    if (params.len > sizeof(core->params_bytes) ||
        credential.len > sizeof(core->credential_bytes) || zone_open(params, &zone) != ERR_OK ||
        (core->has_zone && zone_accept(&core->zone, &zone) != ERR_OK) ||
        credential_open(credential, &zone, &cred) != ERR_OK || cred.kind != CREDENTIAL_EDGE ||
        !pubkey_eq(&cred.pk, &core->config.key.pk) || !id_eq(&cred.subject, &core->config.edge_id))
        return false;
    memcpy(core->params_bytes, params.ptr, params.len);
    core->params_len = params.len;
    memcpy(core->credential_bytes, credential.ptr, credential.len);
    core->credential_len = credential.len;
    core->zone = zone;
    core->credential = cred;
    core->credential.display_name = (struct slice){0}; /* borrowed: the copy lives elsewhere */
    core->has_zone = core->has_credential = true;
    struct trust_view *view = trust_view_with_zone(core->view, &zone);
    trust_view_unref(core->view);
    core->view = view;
    core->view_changed = true;
    return true;
}

void zone_start(struct core *core)
{
    core->enrol_delay_us = ENROL_DELAY_MIN_US;
    core->enrol_next_us = core->now_us;
    login_start(core);
    if (core->config.credential.len)
        adopt(core, core->config.zone_params, core->config.credential);
}

/* When to ask again for a credential that we have: at two thirds of its life, or if it is revoked.
 */
static uint64_t renew_in_us(const struct core *core)
{
    const struct credential *c = &core->credential;
    uint64_t at = c->not_before_us + (c->not_after_us - c->not_before_us) / 3 * 2;
    return at > core->utc_us && !core_revoked(core, c->serial) ? at - core->utc_us : 0;
}

void zone_reply(struct core *core, const struct event *ev)
{
    const struct zone_reply *m = &ev->u.zone_reply;
    struct hash mac = enrolment_reply_mac(core->config.zone_secret, &core->enrol_request, m->params,
                                          m->credential, &m->nonce);
    if (!core->enrol_outstanding || !id_eq(&m->edge_id, &core->config.edge_id) ||
        !crypto_equal(mac.b, m->proof.b, HASH_BYTES) || !adopt(core, m->params, m->credential)) {
        core_count(core, COUNT_messages_rejected);
        return;
    }
    core->enrol_outstanding = false;
    revocation_heard(core);
    core->enrol_delay_us = ENROL_DELAY_MIN_US;
    core->enrol_next_us = core->now_us + renew_in_us(core) + ENROL_DELAY_MIN_US;
    core->heartbeat_next_us = core->now_us;
    if (!core->sync.asking)
        core->sync.next_us = core->now_us;
    core_keep(core, "zone_params", slice_of(core->params_bytes, core->params_len));
    core_keep(core, "credential", slice_of(core->credential_bytes, core->credential_len));
    login_received(core, m->broker);
    core_log(core, false, "enrolled in zone %s, credential %llu", core->zone.zone_id.s,
             (unsigned long long)core->credential.serial);
}

/* Nobody signs a refusal: it is passed on to the operator, and the asking goes on. */
void zone_error(struct core *core, const struct wire_error *m)
{
    if (!core->enrol_outstanding || core->enrol_refusal_said)
        return;
    core->enrol_refusal_said = true;
    core_log(
        core, true,
        "enrolment refused (%.*s): %.*s; check the zone secret and this edge's id; asking again",
        SLICE_FMT(m->code_text), SLICE_FMT(m->message));
}

void zone_newer(struct core *core)
{
    uint32_t jitter;
    core_count(core, COUNT_zone_newer);
    if (!core->has_credential || core->enrol_wanted || core->enrol_outstanding)
        return;
    core_random(core, &jitter, sizeof(jitter));
    uint64_t at_us = core->now_us + jitter % NEWER_JITTER_US;
    if (core->enrol_asked_us && at_us < core->enrol_asked_us + NEWER_EVERY_US)
        at_us = core->enrol_asked_us + NEWER_EVERY_US;
    core->enrol_wanted = true;
    if (at_us < core->enrol_next_us)
        core->enrol_next_us = at_us;
}

void zone_tick(struct core *core)
{
    if (core->now_us < core->enrol_next_us || core->stopping)
        return;
    if (core->has_credential && !core->enrol_outstanding && !core->enrol_wanted &&
        renew_in_us(core) > 0) {
        core->enrol_next_us = core->now_us + renew_in_us(core);
        return;
    }
    core->enrol_next_us = core->now_us + core->enrol_delay_us;
    if (!core->bus_up[LANE_CONTROL])
        return;
    core->enrol_delay_us *= 2;
    if (core->enrol_delay_us > ENROL_DELAY_MAX_US)
        core->enrol_delay_us = ENROL_DELAY_MAX_US;
    struct zone_request *m = core_body(core, sizeof(*m));
    m->enrolment = (struct enrolment){
        .edge_id = core->config.edge_id, .pk = core->config.key.pk, .ts_us = core->utc_us};
    core_random(core, m->enrolment.nonce.b, NONCE_BYTES);
    uint8_t *proof = core_body(core, ENROL_PROOF_BYTES);
    enrolment_prove(&m->enrolment, core->config.zone_secret, &core->config.key, proof,
                    &core->enrol_request);
    m->proof = slice_of(proof, ENROL_PROOF_BYTES);
    core->enrol_outstanding = true;
    core->enrol_wanted = false;
    core->enrol_asked_us = core->now_us;
    core->enrol_refusal_said = core->revoked.self_said; /* then it is no news */
    core_send(core, LANE_CONTROL, TOPIC_AUTH_ZONE, (struct slice){0}, (struct slice){0},
              MESSAGE_ZONE_REQUEST, m);
}

uint64_t zone_deadline_us(const struct core *core)
{
    return core->stopping ? UINT64_MAX : core->enrol_next_us;
}
