#ifndef AUTH_EDGE_ANSWER_H
#define AUTH_EDGE_ANSWER_H
/* What Supabase's answer to GET /auth/v1/user says about somebody. Pure; any thread. */
#include "base/id.h"
#include "trust/object.h"

enum answer {
    ANSWER_VALID,
    ANSWER_REFUSED, /* 401, 403: expired, revoked, deleted, banned */
    ANSWER_OUR_KEY, /* 401 of the gateway, for our key: says nothing about the user */
    ANSWER_UNFIT,   /* a user, but more about it than is read here */
    ANSWER_UNKNOWN, /* everything else: says nothing about the user */
};

struct answer_name {
    char s[NAME_BYTES_MAX];
    size_t len;
};

/*
 * answer_read: of an HTTP status and a body.
 * subject   whom the token names: a 200 for anybody else is ANSWER_UNKNOWN.
 * ret_name  with ANSWER_VALID, what to call the user: the name in the metadata,
 *           which the user writes, else the e-mail address up to the @, else
 *           nothing. Credentials are public: no whole address gets there.
 */
enum answer answer_read(long status, struct slice body, const struct id *subject,
                        struct answer_name *ret_name);

#endif
