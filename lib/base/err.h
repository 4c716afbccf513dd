#ifndef BASE_ERR_H
#define BASE_ERR_H
/*
 * The one list of errors. Functions of lib/ return them and never log them;
 * outputs (ret_*) are untouched unless ERR_OK is returned.
 *
 * Errors that answer a request have a code on the wire (lib/wire/error.h maps
 * them); the others end in a log line or an exit status.
 */
enum err {
    ERR_OK = 0,
    ERR_FORMAT = -1,       /* the bytes are not what they claim to be */
    ERR_LIMIT = -2,        /* a size or count is above its named limit */
    ERR_SIGNATURE = -3,    /* a signature, MAC, hash or proof does not hold */
    ERR_UNAUTHORIZED = -4, /* no credential, or one that does not allow this */
    ERR_UNKNOWN = -5,      /* the thing that was named does not exist */
    ERR_CONFLICT = -6,     /* another one was there first */
    ERR_QUOTA = -7,        /* the asker has used up its share */
    ERR_BUSY = -8,         /* try again later; says nothing about the request */
    ERR_STORAGE_FULL = -9, /* no room to keep it */
    ERR_NOT_READY = -10,   /* what it needs has not arrived yet */
    ERR_IO = -11,          /* a system call or library failed; errno or a text tells */
    ERR_TIMEOUT = -12,     /* no answer in time */
    ERR_CLOSED = -13,      /* the thing was shut down */
};

/* err_name: the error's name in lower case, "limit" for ERR_LIMIT. Static. Any thread. */
const char *err_name(enum err err);

#endif
