/*
 * libsodium alone: BLAKE2b over 60 KiB, and Ed25519 verification of a chunk's
 * statement. Prints bytes per second and microseconds.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BLOB = 61440, STATEMENT = 190 };
#define SECONDS 0.5

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void)
{
    unsigned char pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
    unsigned char sig[crypto_sign_BYTES], statement[STATEMENT], hash[32];
    unsigned char *blob = malloc(BLOB);
    long hashed = 0, verified = 0;
    if (sodium_init() < 0)
        return 1;
    randombytes_buf(blob, BLOB);
    randombytes_buf(statement, STATEMENT);
    crypto_sign_keypair(pk, sk);
    crypto_sign_detached(sig, NULL, statement, STATEMENT, sk);
    double start_s = now_s();
    for (; now_s() < start_s + SECONDS; hashed++) {
        crypto_generichash(hash, sizeof(hash), blob, BLOB, NULL, 0);
        blob[0] = hash[0];
    }
    double hash_s = now_s() - start_s;
    start_s = now_s();
    for (; now_s() < start_s + SECONDS; verified++)
        if (crypto_sign_verify_detached(sig, statement, STATEMENT, pk))
            return 1;
    double verify_s = now_s() - start_s;
    printf("{\"hash_bytes_per_s\":%.0f,\"verify_us\":%.2f}\n", (double)hashed * BLOB / hash_s,
           verify_s / (double)verified * 1e6);
    return 0;
}
