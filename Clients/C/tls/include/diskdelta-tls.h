/*
 * libdiskdelta-tls: secures the connections of libdiskdelta with TLS 1.3, on OpenSSL 3.
 *
 *     diskdelta_tls *tls = diskdelta_tls_create();
 *     diskdelta_tls_options secured = DISKDELTA_TLS_OPTIONS_INIT;
 *     secured.ca_file = "/etc/diskdelta/ca.pem";
 *     secured.certificate_file = "/etc/diskdelta/client.pem";
 *     secured.key_file = "/etc/diskdelta/client.key";
 *     if (diskdelta_tls_configure(tls, &secured) != 0)
 *         ... diskdelta_tls_error(tls)->message ...
 *
 *     diskdelta_client_options options = DISKDELTA_CLIENT_OPTIONS_INIT;
 *     options.security = diskdelta_tls_security(tls);
 *     diskdelta_client *client = diskdelta_client_create(NULL);
 *     if (diskdelta_client_connect(client, "backup.example.com:7420", &options) != 0)
 *         ... diskdelta_client_error(client)->message ...
 *
 *     ... calls, as ever ...
 *
 *     diskdelta_client_close(client);
 *     diskdelta_tls_close(tls);
 *
 * WHAT IS VERIFIED. The server's certificate must lead to one of the authorities that are trusted, must be valid now,
 * and must bear the name or the address that the client connected to among its subject alternative names. The version
 * is TLS 1.3 or later, and both sides must agree on the protocol `diskdelta/1` (ALPN). There is no option that leaves
 * any of this out: without it, nothing is sent.
 *
 * ERRORS. Where the server is not who it should be, or does not let this client in, connecting fails with
 * UNAUTHENTICATED, and the client does not try again by itself. The message says what was wrong with which certificate,
 * or which file was the matter.
 *
 * NEW CERTIFICATES. diskdelta_tls_configure() may be called again, for example when a certificate was renewed:
 * connections made from then on use the new files, those that are there go on. Where it fails, the old ones stay.
 *
 * LIFETIMES. The handle must live longer than every client that was given its diskdelta_tls_security().
 *
 * THREADS. One handle may serve the clients of several threads, as long as none of them connects while
 * diskdelta_tls_configure() runs. The library has no global state of its own and raises no SIGPIPE. OpenSSL has some:
 * it reads its system-wide configuration when it is first used.
 */
#ifndef DISKDELTA_TLS_H
#define DISKDELTA_TLS_H

#include <diskdelta.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What TLS needs to know: whom to trust, and who the client is. */
typedef struct diskdelta_tls diskdelta_tls;

/* Whom to trust, and who the client is. Every member but the first may be NULL. */
typedef struct diskdelta_tls_options {
    /* The size of this structure, as DISKDELTA_TLS_OPTIONS_INIT sets it. */
    size_t struct_size;
    /* A file with the certificates of the authorities that are trusted, in PEM; NULL for those that the system trusts.
     * The server's own certificate will do where it is self-signed. */
    const char *ca_file;
    /* A file with the client's certificate in PEM, followed by those between it and its authority; NULL for none. */
    const char *certificate_file;
    /* A file with the private key of the certificate in PEM; NULL where it stands in certificate_file. */
    const char *key_file;
    /* The password of the private key; NULL for none. It is not kept. Nobody is ever asked for one. */
    const char *key_password;
    /* The name or address that the server's certificate must bear, where it is another than the one that is connected
     * to. A Unix socket has none, so there it is needed. */
    const char *server_name;
} diskdelta_tls_options;

/* Starts every diskdelta_tls_options: everything else is NULL. */
#define DISKDELTA_TLS_OPTIONS_INIT                                                                                     \
    {                                                                                                                  \
        .struct_size = sizeof(struct diskdelta_tls_options)                                                            \
    }

/* ---- TLS --------------------------------------------------------------------------------------------------------- */

/*
 * Makes a handle that trusts nobody yet: diskdelta_tls_configure() comes next. NULL where there is no memory, or where
 * OpenSSL cannot be used.
 */
DISKDELTA_API diskdelta_tls *diskdelta_tls_create(void);

/*
 * Reads the files that the options name; for connections made from now on. `options` may be NULL: then the authorities
 * of the system are trusted, and the client has no certificate.
 *
 * 0, or -1 where a file cannot be used, with INVALID_PARAMETER and a message that names the file and says what is wrong
 * with it; RESOURCE_LIMIT where there is no memory. What was configured before then stays.
 */
DISKDELTA_API int diskdelta_tls_configure(diskdelta_tls *tls, const diskdelta_tls_options *options);

/*
 * What to give a client as diskdelta_client_options.security. Never NULL: with a NULL handle, or one that was not
 * configured, connecting fails and says so, and never goes on in the plain.
 */
DISKDELTA_API const diskdelta_security *diskdelta_tls_security(const diskdelta_tls *tls);

/* Why the last call on the handle failed. Never NULL, also for a NULL handle. */
DISKDELTA_API const diskdelta_error *diskdelta_tls_error(const diskdelta_tls *tls);

/* Frees the handle. No client may use it any more. NULL is allowed. */
DISKDELTA_API void diskdelta_tls_close(diskdelta_tls *tls);

#ifdef __cplusplus
}
#endif

#endif
