/* Start an edge and wait for its first word: --report FILE keeps its output. */
#include "base/check.h"
#include "base/clock.h"
#include "bench/load/load.h"
#include "wire/presence.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct ready {
    uint64_t online_us;
};

static void heard(struct mq *mq, struct slice topic, struct slice payload)
{
    struct ready *r = mq->owner;
    CLEANUP(arena_release) struct arena arena = {0};
    struct edge_status status;
    (void)topic;
    if (!r->online_us && edge_status_decode(payload, &arena, &status) == ERR_OK && status.online)
        r->online_us = clock_mono_us();
}

static pid_t spawn(const struct load *load, const char *const *command)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = open(load->report ? load->report : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd >= 0) {
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
    }
    execv(command[0], (char *const *)(uintptr_t)command);
    _exit(127);
}

int ready_main(struct load *load, const char *const *command)
{
    struct ready r = {0};
    struct mq mq;
    char topic[TOPIC_BUF_BYTES];
    topic_print(TOPIC_EDGE_STATUS, (struct slice){0}, load->edge, load->edge, topic);
    mq_open(&mq, &load->loop, load->broker, load->id, REPLY_OUT_PACKETS, heard, &r, 0);
    mq_subscribe(&mq, topic, 1);
    load_settle(load, &mq, 1);
    uint64_t start_us = clock_mono_us();
    pid_t pid = spawn(load, command);
    while (!r.online_us && clock_mono_us() < start_us + SETTLE_US)
        mq_run(&load->loop, POLL_US);
    if (!r.online_us)
        die("%s is not online after %d s", command[0], SETTLE_US / 1000000);
    kill(pid, SIGTERM);
    CHECK(waitpid(pid, NULL, 0) == pid);
    printf("{\"ready_us\":%llu}\n", (unsigned long long)(r.online_us - start_us));
    return 0;
}
