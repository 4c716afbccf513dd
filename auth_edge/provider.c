#include "auth_edge/provider.h"

#include "base/mem.h"

#include <stdlib.h>

struct login *login_new(void)
{
    return mem_alloc(sizeof(struct login));
}

void login_free(struct login *login)
{
    if (!login)
        return;
    crypto_wipe(login, sizeof(*login));
    free(login);
}
