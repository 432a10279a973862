/*
 * TLS in front of a server that has none: takes TLS connections on a port of 127.0.0.1, one after another, and passes
 * on what is inside of them to a Unix socket. What it sends can be cut after any number of bytes.
 */
#ifndef TLS_FRONT_H
#define TLS_FRONT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_front_script {
    /* The server's certificate: NAME.pem and NAME.key in the folder of certificates. */
    const char *certificate;
    /* The file of the authority whose clients are let in; NULL: nobody is asked who he is. */
    const char *client_authority;
    /* The protocol (ALPN) that is agreed to; NULL: none, and nothing is said about it. */
    const char *protocol;
    /* The highest version of TLS; 0: any. */
    int max_version;
    /* Where the bytes inside go; NULL: nowhere, what arrives is dropped. */
    const char *address;
    /* How many bytes are sent, at most, before the connection is closed; and in one piece (0: all). */
    size_t cut;
    size_t piece;
    /* Which byte of what is sent is spoilt; 0: none, since nothing can be said of the first. */
    size_t spoilt;
    /* Ends without saying so in TLS. */
    bool without_close;
    /* Where set: this is sent, and TLS is not spoken at all. */
    const char *plain;
    /* What was sent on the last connection, once it has ended, and whether something was ever held back. */
    atomic_size_t sent;
    atomic_bool was_cut;
    /* What arrived, inside of TLS, on all connections. */
    atomic_size_t received;
};

/* Everything whole, with the certificate `server`, in front of the server at `address`. */
struct tls_front_script tls_front_script(const char *address);

struct tls_front;

/* Starts it. The script may be changed while no connection is open. */
struct tls_front *tls_front_start(struct tls_front_script *script);

/* The address to connect to: 127.0.0.1:PORT. */
const char *tls_front_address(const struct tls_front *front);

/* Waits until every connection that was made has ended. */
void tls_front_settle(const struct tls_front *front);

void tls_front_stop(struct tls_front *front);

/* The path of a file in the folder of certificates. */
#define CERTIFICATE(name) CERTIFICATES "/" name

#endif
