#ifndef AUTH_EDGE_SUPABASE_H
#define AUTH_EDGE_SUPABASE_H
/*
 * The provider for tokens: the users of a Supabase project.
 *
 *   token --token_read, jwks_judge--> GET /auth/v1/user --answer_read--> login
 *
 * A token is good when Supabase says so, in answer to this login (or to another
 * with the same token that is under way): nothing good is remembered, because
 * sessions are revoked. What can be read off a token turns it away without a
 * request. When Supabase cannot say, logins are busy, and backoff.h spares it.
 * Tokens are wiped as soon as the answer is there. Logs.
 */
#include "auth_edge/http.h"
#include "auth_edge/provider.h"

enum {
    SUPABASE_LOGINS_MAX = 512, /* waiting or under way; beyond it: busy */
    SUPABASE_TOKENS_MAX = 256, /* different ones among them */
    SUPABASE_KEYS_TIMEOUT_MS = 5000,
    SUPABASE_USER_TIMEOUT_MS = 10000,
    SUPABASE_READY_MAX = 16, /* tokens between two looks at everything else: a check each */
    SUPABASE_ERROR_BYTES = HTTP_ERROR_BYTES + 64,
};

struct supabase_config {
    const char *url;     /* https://…; http:// for a loopback host, or with allow_http */
    const char *key;     /* the project's publishable (anon) key */
    const char *ca_file; /* PEM, instead of the system's certificates; NULL: those */
    const char *issuer;  /* that tokens name; NULL: {url}/auth/v1; "none": they name none */
    bool allow_http;
};

/*
 * supabase_open: nothing is connected yet.
 * config     copied.
 * ret_error  the sentence for the operator on failure.
 * ERR_FORMAT: a setting is missing, malformed, or not allowed. ERR_IO: no descriptor is left.
 */
enum err supabase_open(const struct supabase_config *config, struct provider **ret_provider,
                       char ret_error[static SUPABASE_ERROR_BYTES]);

#endif
