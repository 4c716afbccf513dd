/* A refused call fails with EPERM instead of killing: a library that asks for the number of cores
 * goes on without, and who has taken the process over gets no further either way. */
#include "thumbnail/jail.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static bool allow_plain(scmp_filter_ctx ctx)
{
    static const int calls[] = {
        SCMP_SYS(brk),          SCMP_SYS(munmap), SCMP_SYS(mremap),
        SCMP_SYS(madvise),      SCMP_SYS(futex),  SCMP_SYS(clock_gettime),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(exit),   SCMP_SYS(exit_group),
    };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (seccomp_rule_add(ctx, SCMP_ACT_ALLOW, calls[i], 0) != 0)
            return false;
    return true;
}

/* Only with these arguments. */
static bool allow_some(scmp_filter_ctx ctx)
{
    const struct scmp_arg_cmp input = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = STDIN_FILENO};
    const struct scmp_arg_cmp output = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = STDOUT_FILENO};
    const struct scmp_arg_cmp data = {.arg = 2, .op = SCMP_CMP_MASKED_EQ, .datum_a = PROT_EXEC};
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, input) == 0 &&
           seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, output) == 0 &&
           seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, data) == 0 &&
           seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, data) == 0;
}

enum err jail_enter(void)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return ERR_IO;
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!ctx)
        return ERR_IO;
    bool loaded = allow_plain(ctx) && allow_some(ctx) && seccomp_load(ctx) == 0;
    seccomp_release(ctx);
    return loaded ? ERR_OK : ERR_IO;
}
