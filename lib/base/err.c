#include "base/err.h"

const char *err_name(enum err err)
{
    switch (err) {
    case ERR_OK: return "ok";
    case ERR_FORMAT: return "format";
    case ERR_LIMIT: return "limit";
    case ERR_SIGNATURE: return "signature";
    case ERR_UNAUTHORIZED: return "unauthorized";
    case ERR_UNKNOWN: return "unknown";
    case ERR_CONFLICT: return "conflict";
    case ERR_QUOTA: return "quota";
    case ERR_BUSY: return "busy";
    case ERR_STORAGE_FULL: return "storage_full";
    case ERR_NOT_READY: return "not_ready";
    case ERR_IO: return "io";
    case ERR_TIMEOUT: return "timeout";
    case ERR_CLOSED: return "closed";
    }
    return "unlisted";
}
