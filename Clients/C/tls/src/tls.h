/* What TLS needs to know, and what it is made of. */
#ifndef DD_TLS_TLS_H
#define DD_TLS_TLS_H

#include "text.h"

#include <diskdelta-tls.h>

#include <openssl/ssl.h>

/* What one call of diskdelta_tls_configure() read. */
struct dd_tls_configuration {
    /* NULL before the first. */
    SSL_CTX *context;
    /* The names that sentences tell; NULL for the system's authorities, and for no certificate. */
    char *ca_file;
    char *certificate_file;
    /* NULL: the name that is connected to. */
    char *server_name;
};

struct diskdelta_tls {
    diskdelta_security security;
    struct dd_tls_configuration configuration;
    /* How OpenSSL reads and writes through the carrier below. */
    BIO_METHOD *method;
    diskdelta_error error;
    char text[DD_TLS_TEXT];
};

/*
 * Reads the files. False with `text` filled in; then `*is_out_of_memory` tells whether it was memory that was missing.
 */
bool dd_tls_read_files(SSL_CTX *context, const diskdelta_tls_options *options, char text[DD_TLS_TEXT],
                       bool *is_out_of_memory);

/* A method for dd_tls_wrap(); NULL where there is no memory. */
BIO_METHOD *dd_tls_method(void);

/* The `wrap` of the security: `data` is the handle. */
int dd_tls_wrap(void *data, int fd, const char *host, diskdelta_carrier *carrier, char *text, size_t capacity);

#endif
