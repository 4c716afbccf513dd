#ifndef BENCH_REF_NODELAY_H
#define BENCH_REF_NODELAY_H
/*
 * Paho does not set TCP_NODELAY and does not show its sockets: set it on all of
 * the process's. Without it a reference's small messages wait for the last
 * acknowledgement, and ours would look better than it is.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static void set_nodelay(void)
{
    int one = 1;
    for (int fd = 3; fd < 64; fd++)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

#endif
