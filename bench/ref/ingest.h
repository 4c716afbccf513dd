#ifndef BENCH_REF_INGEST_H
#define BENCH_REF_INGEST_H
/*
 * The half of the ingest references that is the same: verify on two threads in
 * order, commit what waits with synchronous=FULL, acknowledge after the commit.
 * The other half, ingest_paho.c and ingest_mosquitto.c, brings messages and
 * sends acknowledgements. Everything is static: a reference is one program.
 */
#include "trust/part.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { QUEUE = 1024, WORKERS = 2, GROUP = 64, STREAMS = 64, ACK_BYTES = 256, PREFIX = 9 };

struct job {
    void *message; /* the library's, or a copy */
    struct slice payload;
    int stream;
    int state; /* 0 waits, 1 good, -1 bad */
    struct part part;
};

/* The other half's. release: done with the message. acknowledge: send on bench/out/STREAM. */
static void release(struct job *job);
static void acknowledge(int stream, const char *text, int len);

static struct job jobs[QUEUE]; /* ring: [head, next) taken by workers, [next, tail) waiting */
static unsigned long head, next, tail, dropped;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t filled = PTHREAD_COND_INITIALIZER, checked = PTHREAD_COND_INITIALIZER;

/* submit: from the library's callback. topic: bench/in/STREAM. */
static void submit(const char *topic, struct slice payload, void *message)
{
    struct job job = {.message = message, .payload = payload, .stream = atoi(topic + PREFIX)};
    pthread_mutex_lock(&lock);
    int full = tail - head == QUEUE;
    if (full)
        dropped++;
    else
        jobs[tail++ % QUEUE] = job;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);
    if (full)
        release(&job);
}

static void *verify(void *arg)
{
    struct sig_cache *cache = calloc(1, sizeof(*cache));
    (void)arg;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (next == tail)
            pthread_cond_wait(&filled, &lock);
        struct job *job = &jobs[next++ % QUEUE];
        pthread_mutex_unlock(&lock);
        int good = part_decode(job->payload, &job->part) == ERR_OK &&
                   part_verify(&job->part, cache) == ERR_OK;
        pthread_mutex_lock(&lock);
        job->state = good ? 1 : -1;
        pthread_cond_signal(&checked);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void must(sqlite3 *db, int code)
{
    if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
        return;
    fprintf(stderr, "ingest: %s\n", sqlite3_errmsg(db));
    exit(1);
}

static void insert(sqlite3 *db, sqlite3_stmt *put, const struct job *job)
{
    sqlite3_bind_int(put, 1, job->stream);
    sqlite3_bind_int64(put, 2, job->part.chunk.number);
    sqlite3_bind_int(put, 3, job->part.index);
    sqlite3_bind_blob(put, 4, job->payload.ptr, (int)job->payload.len, SQLITE_STATIC);
    must(db, sqlite3_step(put));
    sqlite3_reset(put);
}

/* How many checked jobs stand at the head; waits until there is one. */
static unsigned long group_wait(void)
{
    unsigned long n = 0;
    pthread_mutex_lock(&lock);
    while (head == next || !jobs[head % QUEUE].state)
        pthread_cond_wait(&checked, &lock);
    while (n < GROUP && head + n < next && jobs[(head + n) % QUEUE].state)
        n++;
    pthread_mutex_unlock(&lock);
    return n;
}

static void say(const struct job *job)
{
    char text[ACK_BYTES];
    int last = job->part.index + 1 == job->part.chunk.parts_n;
    int n = snprintf(text, sizeof(text),
                     "{\"status\":\"ok\",\"video_id\":\"ref\",\"EDGE_ID\":\"ref\","
                     "\"chunk_part\":%u,\"packet_index\":%u,\"next\":%u,\"next_part\":%u,"
                     "\"window_bytes\":1048576}",
                     job->part.chunk.number, job->part.index,
                     job->part.chunk.number + (unsigned)last, last ? 0u : job->part.index + 1u);
    acknowledge(job->stream, text, n);
}

/* ingest_run: the writer. Never returns. */
static void ingest_run(const char *path)
{
    sqlite3 *db;
    sqlite3_stmt *put;
    pthread_t thread;
    must(NULL, sqlite3_open(path, &db));
    must(db, sqlite3_exec(db,
                          "PRAGMA page_size=16384; PRAGMA journal_mode=WAL; "
                          "PRAGMA synchronous=FULL; CREATE TABLE part(stream INTEGER, "
                          "chunk INTEGER, part INTEGER, packet BLOB NOT NULL, "
                          "PRIMARY KEY (stream, chunk, part))",
                          NULL, NULL, NULL));
    must(db, sqlite3_prepare_v2(db, "INSERT INTO part VALUES(?,?,?,?)", -1, &put, NULL));
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&thread, NULL, verify, NULL);
    for (;;) {
        const struct job *last[STREAMS] = {0};
        unsigned long n = group_wait();
        must(db, sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
        for (unsigned long i = head; i < head + n; i++)
            if (jobs[i % QUEUE].state > 0) {
                insert(db, put, &jobs[i % QUEUE]);
                last[jobs[i % QUEUE].stream % STREAMS] = &jobs[i % QUEUE];
            }
        must(db, sqlite3_exec(db, "COMMIT", NULL, NULL, NULL));
        for (int i = 0; i < STREAMS; i++)
            if (last[i])
                say(last[i]);
        for (unsigned long i = head; i < head + n; i++)
            release(&jobs[i % QUEUE]);
        pthread_mutex_lock(&lock);
        head += n;
        pthread_mutex_unlock(&lock);
    }
}

#endif
