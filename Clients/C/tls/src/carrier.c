/* The carrier: TLS on top of the plain one, whose bytes OpenSSL gets through a BIO. */
#include "problem.h"
#include "tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct tls_carrier {
    diskdelta_carrier below;
    SSL *ssl;
    struct dd_tls_peer peer;
    /* The handshake is over, and diskdelta/1 agreed upon. */
    bool is_ready;
    /* What every further call gives, once OpenSSL can't go on; 0 before. */
    ptrdiff_t end;
    bool is_finished;
    /* The directions that reading and writing wait for. */
    unsigned reading;
    unsigned writing;
    char text[DD_TLS_TEXT];
};

/* ---- The BIO --------------------------------------------------------------------------------------------------- */

static int read_below(BIO *bio, char *bytes, int capacity)
{
    struct tls_carrier *carrier = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (capacity <= 0)
        return 0;
    ptrdiff_t count = carrier->below.functions->read(carrier->below.data, bytes, (size_t)capacity);
    if (count == DISKDELTA_CARRIER_WAIT)
        BIO_set_retry_read(bio);
    if (count == 0)
        BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return count >= 0 ? (int)count : -1;
}

static int write_below(BIO *bio, const char *bytes, int count)
{
    struct tls_carrier *carrier = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (count <= 0)
        return 0;
    ptrdiff_t sent = carrier->below.functions->write(carrier->below.data, bytes, (size_t)count);
    if (sent == DISKDELTA_CARRIER_WAIT)
        BIO_set_retry_write(bio);
    return sent >= 0 ? (int)sent : -1;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default:
        return 0;
    }
}

BIO_METHOD *dd_tls_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "libdiskdelta carrier");
    if (method != NULL && BIO_meth_set_read(method, read_below) == 1 && BIO_meth_set_write(method, write_below) == 1 &&
        BIO_meth_set_ctrl(method, control) == 1)
        return method;
    BIO_meth_free(method);
    return NULL;
}

/* ---- Results --------------------------------------------------------------------------------------------------- */

/* Nothing can be done with the connection any more. */
static ptrdiff_t end(struct tls_carrier *carrier, ptrdiff_t result)
{
    carrier->end = result;
    return result;
}

/* What a carrier gives where OpenSSL gave `code`. `waits` becomes the direction to wait for. */
static ptrdiff_t fail(struct tls_carrier *carrier, int code, unsigned *waits)
{
    switch (SSL_get_error(carrier->ssl, code)) {
    case SSL_ERROR_WANT_READ:
        *waits = DISKDELTA_DIRECTION_READ;
        return DISKDELTA_CARRIER_WAIT;
    case SSL_ERROR_WANT_WRITE:
        *waits = DISKDELTA_DIRECTION_WRITE;
        return DISKDELTA_CARRIER_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        dd_tls_say(carrier->text, "the server ended TLS");
        return carrier->is_ready ? 0 : end(carrier, DISKDELTA_CARRIER_BROKEN);
    case SSL_ERROR_SYSCALL:
        /* What had arrived before can still be read, such as an alert that says why: so this is not the end. */
        dd_tls_say(carrier->text, "%s", carrier->below.functions->error(carrier->below.data));
        return DISKDELTA_CARRIER_BROKEN;
    default:
        break;
    }
    /* The callback of the verification has said what is wrong with a certificate. */
    if (SSL_get_verify_result(carrier->ssl) != X509_V_OK && carrier->text[0] != '\0') {
        ERR_clear_error();
        return end(carrier, DISKDELTA_CARRIER_REFUSED);
    }
    bool is_refused = dd_tls_say_problem(carrier->text, &carrier->peer, carrier->is_ready);
    return end(carrier, is_refused ? DISKDELTA_CARRIER_REFUSED : DISKDELTA_CARRIER_BROKEN);
}

static int verify(int is_well, X509_STORE_CTX *store)
{
    const SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_carrier *carrier = SSL_get_app_data(ssl);
    if (is_well != 1)
        dd_tls_say_untrusted(carrier->text, &carrier->peer, store);
    return is_well;
}

/* ---- The functions --------------------------------------------------------------------------------------------- */

/* Goes on with the handshake. 1 once it is over; else what the carrier gives. */
static ptrdiff_t shake_hands(struct tls_carrier *carrier)
{
    ERR_clear_error();
    if (carrier->end != 0)
        return carrier->end;
    if (carrier->is_ready)
        return 1;
    int code = SSL_do_handshake(carrier->ssl);
    if (code != 1) {
        ptrdiff_t result = fail(carrier, code, &carrier->reading);
        carrier->writing = carrier->reading;
        return result;
    }
    const unsigned char *protocol = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(carrier->ssl, &protocol, &size);
    if (size != strlen("diskdelta/1") || memcmp(protocol, "diskdelta/1", size) != 0) {
        /* P-81: nothing is sent. */
        dd_tls_say(carrier->text, "the server speaks TLS, but not DiskDelta's protocol (ALPN diskdelta/1)");
        return end(carrier, DISKDELTA_CARRIER_REFUSED);
    }
    carrier->is_ready = true;
    carrier->reading = DISKDELTA_DIRECTION_READ;
    carrier->writing = DISKDELTA_DIRECTION_WRITE;
    return 1;
}

static ptrdiff_t read_tls(void *data, void *bytes, size_t capacity)
{
    struct tls_carrier *carrier = data;
    ptrdiff_t result = shake_hands(carrier);
    if (result != 1)
        return result;
    int code = SSL_read(carrier->ssl, bytes, capacity < INT_MAX ? (int)capacity : INT_MAX);
    return code > 0 ? code : fail(carrier, code, &carrier->reading);
}

static ptrdiff_t write_tls(void *data, const void *bytes, size_t count)
{
    struct tls_carrier *carrier = data;
    ptrdiff_t result = shake_hands(carrier);
    if (result != 1)
        return result;
    int code = SSL_write(carrier->ssl, bytes, count < INT_MAX ? (int)count : INT_MAX);
    return code > 0 ? code : fail(carrier, code, &carrier->writing);
}

static unsigned wants_of_tls(void *data, bool has_output)
{
    const struct tls_carrier *carrier = data;
    return has_output ? carrier->reading | carrier->writing : carrier->reading;
}

static int fd_of_tls(void *data)
{
    const struct tls_carrier *carrier = data;
    return carrier->below.functions->fd(carrier->below.data);
}

static bool is_tls_private(void *data)
{
    (void)data;
    return true;
}

static const char *error_of_tls(void *data)
{
    const struct tls_carrier *carrier = data;
    return carrier->text;
}

static void finish_tls(void *data)
{
    struct tls_carrier *carrier = data;
    if (carrier->is_finished)
        return;
    carrier->is_finished = true;
    /* Where it can't be written at once the server finds the connection cut, and that is as good. */
    if (carrier->is_ready && carrier->end == 0)
        (void)SSL_shutdown(carrier->ssl);
    ERR_clear_error();
    carrier->below.functions->finish(carrier->below.data);
}

static void free_carrier(struct tls_carrier *carrier)
{
    SSL_free(carrier->ssl);
    OPENSSL_free(carrier->peer.name);
    OPENSSL_free(carrier->peer.ca_file);
    OPENSSL_free(carrier->peer.certificate_file);
    OPENSSL_free(carrier);
}

static void close_tls(void *data)
{
    struct tls_carrier *carrier = data;
    finish_tls(carrier);
    carrier->below.functions->close(carrier->below.data);
    free_carrier(carrier);
}

static const diskdelta_carrier_functions functions = {
    .struct_size = sizeof functions,
    .read = read_tls,
    .write = write_tls,
    .wants = wants_of_tls,
    .fd = fd_of_tls,
    .is_private = is_tls_private,
    .error = error_of_tls,
    .finish = finish_tls,
    .close = close_tls,
};

/* ---- Making one ------------------------------------------------------------------------------------------------ */

/* Whom the certificate must be for. False where there is no memory. */
static bool expect(SSL *ssl, const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    size_t size = strcspn(name, "%");
    char without_scope[INET6_ADDRSTRLEN] = "";
    if (size < sizeof without_scope)
        memcpy(without_scope, name, size);
    if (inet_pton(AF_INET, without_scope, address) == 1)
        return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), address, sizeof(struct in_addr)) == 1;
    if (inet_pton(AF_INET6, without_scope, address) == 1)
        return X509_VERIFY_PARAM_set1_ip(SSL_get0_param(ssl), address, sizeof(struct in6_addr)) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool copy_peer(struct dd_tls_peer *peer, const struct dd_tls_configuration *configuration, const char *name)
{
    peer->name = OPENSSL_strdup(name);
    if (configuration->ca_file != NULL)
        peer->ca_file = OPENSSL_strdup(configuration->ca_file);
    if (configuration->certificate_file != NULL)
        peer->certificate_file = OPENSSL_strdup(configuration->certificate_file);
    return peer->name != NULL && (peer->ca_file != NULL || configuration->ca_file == NULL) &&
           (peer->certificate_file != NULL || configuration->certificate_file == NULL);
}

/* A carrier with nothing below it; NULL where there is no memory. */
static struct tls_carrier *make(const diskdelta_tls *tls, const char *name)
{
    struct tls_carrier *carrier = OPENSSL_zalloc(sizeof *carrier);
    if (carrier == NULL)
        return NULL;
    /* A handshake starts with writing. */
    carrier->reading = carrier->writing = DISKDELTA_DIRECTION_WRITE;
    carrier->ssl = SSL_new(tls->configuration.context);
    BIO *bio = BIO_new(tls->method);
    if (carrier->ssl != NULL && bio != NULL && copy_peer(&carrier->peer, &tls->configuration, name) &&
        SSL_set_app_data(carrier->ssl, carrier) == 1 && expect(carrier->ssl, name)) {
        BIO_set_data(bio, carrier);
        BIO_set_init(bio, 1);
        SSL_set_bio(carrier->ssl, bio, bio);
        SSL_set_verify(carrier->ssl, SSL_VERIFY_PEER, verify);
        SSL_set_connect_state(carrier->ssl);
        return carrier;
    }
    BIO_free(bio);
    free_carrier(carrier);
    return NULL;
}

int dd_tls_wrap(void *data, int fd, const char *host, diskdelta_carrier *carrier, char *text, size_t capacity)
{
    const diskdelta_tls *tls = data;
    const char *name = tls->configuration.server_name != NULL ? tls->configuration.server_name : host;
    const char *problem = NULL;
    if (tls->configuration.context == NULL)
        problem = "TLS is not configured: diskdelta_tls_configure() was not called, or failed";
    else if (name[0] == '\0')
        problem =
            "a Unix socket has no name that a certificate could bear: diskdelta_tls_options.server_name gives one";
    if (problem == NULL) {
        ERR_clear_error();
        struct tls_carrier *made = make(tls, name);
        if (made != NULL && diskdelta_carrier_on_socket(fd, NULL, &made->below) == 0) {
            *carrier = (diskdelta_carrier){&functions, made};
            return 0;
        }
        if (made != NULL)
            free_carrier(made);
        ERR_clear_error();
        problem = "there is not enough memory for TLS";
    }
    (void)snprintf(text, capacity, "%s", problem);
    return -1;
}
