#include "tls.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <stdio.h>
#include <string.h>

static const diskdelta_error no_handle = {
    .status = DISKDELTA_STATUS_RESOURCE_EXHAUSTED,
    .reason = DISKDELTA_REASON_RESOURCE_LIMIT,
    .return_value = 32778,
    .message = "there is no TLS handle: it could not be made",
};

static int wrap_nothing(void *data, int fd, const char *host, diskdelta_carrier *carrier, char *text, size_t capacity)
{
    (void)data;
    (void)fd;
    (void)host;
    (void)carrier;
    (void)snprintf(text, capacity, "%s", no_handle.message);
    return -1;
}

static const diskdelta_security no_security = {.struct_size = sizeof no_security, .wrap = wrap_nothing};

diskdelta_tls *diskdelta_tls_create(void)
{
    diskdelta_tls *tls = OPENSSL_zalloc(sizeof *tls);
    if (tls == NULL)
        return NULL;
    tls->security = (diskdelta_security)DISKDELTA_SECURITY_INIT;
    tls->security.wrap = dd_tls_wrap;
    tls->security.data = tls;
    tls->error.message = tls->text;
    tls->method = dd_tls_method();
    if (tls->method == NULL) {
        diskdelta_tls_close(tls);
        return NULL;
    }
    return tls;
}

static void free_configuration(struct dd_tls_configuration *configuration)
{
    SSL_CTX_free(configuration->context);
    OPENSSL_free(configuration->ca_file);
    OPENSSL_free(configuration->certificate_file);
    OPENSSL_free(configuration->server_name);
}

void diskdelta_tls_close(diskdelta_tls *tls)
{
    if (tls == NULL)
        return;
    free_configuration(&tls->configuration);
    BIO_meth_free(tls->method);
    OPENSSL_free(tls);
}

const diskdelta_security *diskdelta_tls_security(const diskdelta_tls *tls)
{
    return tls != NULL ? &tls->security : &no_security;
}

const diskdelta_error *diskdelta_tls_error(const diskdelta_tls *tls)
{
    return tls != NULL ? &tls->error : &no_handle;
}

/* -1, with the text that is in the handle already. */
static int fail(diskdelta_tls *tls, diskdelta_reason reason)
{
    tls->error.status = diskdelta_reason_status(reason);
    tls->error.reason = reason;
    tls->error.return_value = diskdelta_reason_return_value(reason);
    tls->error.detail_code = diskdelta_reason_detail_code(reason);
    return -1;
}

static int fail_without_memory(diskdelta_tls *tls)
{
    ERR_clear_error();
    dd_tls_say(tls->text, "there is not enough memory for TLS");
    return fail(tls, DISKDELTA_REASON_RESOURCE_LIMIT);
}

/* The options of a program that was built with an older or a newer header. False where they use what is not known. */
static bool copy_options(diskdelta_tls_options *to, const diskdelta_tls_options *given)
{
    *to = (diskdelta_tls_options)DISKDELTA_TLS_OPTIONS_INIT;
    if (given == NULL)
        return true;
    size_t size = given->struct_size;
    if (size < sizeof given->struct_size)
        return false;
    const unsigned char *bytes = (const unsigned char *)given;
    for (size_t i = sizeof *to; i < size; i++)
        if (bytes[i] != 0)
            return false;
    memcpy(to, given, size < sizeof *to ? size : sizeof *to);
    to->struct_size = sizeof *to;
    return true;
}

/* False where there is no memory. */
static bool copy_name(char **to, const char *name)
{
    *to = name != NULL ? OPENSSL_strdup(name) : NULL;
    return *to != NULL || name == NULL;
}

static bool set_up_context(SSL_CTX *context)
{
    static const unsigned char protocols[] = "\x0b"
                                             "diskdelta/1";
    /* Names are verified as P-81 says in dd_tls_wrap(), which knows them. */
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    (void)SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_alpn_protos(context, protocols, sizeof protocols - 1) == 0;
}

int diskdelta_tls_configure(diskdelta_tls *tls, const diskdelta_tls_options *given)
{
    if (tls == NULL)
        return -1;
    diskdelta_tls_options options;
    if (!copy_options(&options, given)) {
        dd_tls_say(tls->text, "the options of TLS do not start with DISKDELTA_TLS_OPTIONS_INIT, or ask for something "
                              "that this version of the library does not know");
        return fail(tls, DISKDELTA_REASON_INVALID_PARAMETER);
    }
    ERR_clear_error();
    struct dd_tls_configuration made = {.context = SSL_CTX_new(TLS_client_method())};
    bool is_out_of_memory = made.context == NULL || !set_up_context(made.context) ||
                            !copy_name(&made.ca_file, options.ca_file) ||
                            !copy_name(&made.certificate_file, options.certificate_file) ||
                            !copy_name(&made.server_name, options.server_name);
    if (is_out_of_memory || !dd_tls_read_files(made.context, &options, tls->text, &is_out_of_memory)) {
        free_configuration(&made);
        return is_out_of_memory ? fail_without_memory(tls) : fail(tls, DISKDELTA_REASON_INVALID_PARAMETER);
    }
    free_configuration(&tls->configuration);
    tls->configuration = made;
    tls->error = (diskdelta_error){.message = tls->text};
    tls->text[0] = '\0';
    return 0;
}
