/* The files of certificates and keys. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include <errno.h>
#include <string.h>

/* Whether what OpenSSL reported last is that there is no memory. */
static bool is_memory_missing(void)
{
    unsigned long code = ERR_peek_last_error();
    return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
}

/* Opens a file. NULL with `text` filled in. */
static BIO *open_file(const char *what, const char *path, char text[DD_TLS_TEXT])
{
    errno = 0;
    BIO *file = BIO_new_file(path, "r");
    /* Where there was no memory, errno says so too. */
    if (file == NULL)
        dd_tls_say(text, "cannot open the file of %s, %s: %s", what, path,
                   errno != 0 ? strerror(errno) : "OpenSSL gives no reason");
    return file;
}

/* Says why no certificate came out of a file. */
static void say_no_certificate(const char *what, const char *path, char text[DD_TLS_TEXT])
{
    char reason[DD_TLS_NAME];
    /* The oldest report is the one that says what it was. */
    if (ERR_GET_REASON(ERR_peek_error()) == PEM_R_NO_START_LINE) {
        dd_tls_say(text, "the file of %s, %s, holds no certificate in PEM (a line BEGIN CERTIFICATE)", what, path);
        return;
    }
    dd_tls_openssl_text(reason);
    dd_tls_say(text, "the file of %s, %s, holds a certificate that cannot be read: %s", what, path, reason);
}

/* Trusts every certificate of a file. */
static bool read_authorities(SSL_CTX *context, const char *path, char text[DD_TLS_TEXT], bool *is_out_of_memory)
{
    static const char what[] = "trusted authorities";
    BIO *file = open_file(what, path, text);
    if (file == NULL)
        return false;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t count = 0;
    bool is_well = true;
    X509 *certificate = NULL;
    while (is_well && (certificate = PEM_read_bio_X509(file, NULL, NULL, NULL)) != NULL) {
        is_well = X509_STORE_add_cert(store, certificate) == 1;
        *is_out_of_memory = !is_well;
        X509_free(certificate);
        count++;
    }
    /* The end of the file is told as a missing start, and so is a file without any. */
    if (is_well && (count == 0 || ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)) {
        is_well = false;
        *is_out_of_memory = is_memory_missing();
        say_no_certificate(what, path, text);
    }
    BIO_free(file);
    ERR_clear_error();
    return is_well;
}

/* The password of a key, and whether it was asked for. */
struct password {
    const char *text;
    bool is_asked;
};

static int give_password(char *to, int capacity, int is_for_writing, void *data)
{
    (void)is_for_writing;
    struct password *password = data;
    password->is_asked = true;
    size_t size = password->text != NULL ? strlen(password->text) : 0;
    if (size == 0 || capacity < 0 || size > (size_t)capacity)
        return -1;
    memcpy(to, password->text, size);
    return (int)size;
}

static void say_no_key(const char *path, const struct password *password, char text[DD_TLS_TEXT])
{
    if (password->is_asked && password->text == NULL)
        dd_tls_say(text, "the private key in %s is protected by a password, and none was given", path);
    else if (password->is_asked)
        dd_tls_say(text, "the password that was given does not open the private key in %s", path);
    else
        dd_tls_say(text, "the file %s holds no private key in PEM (a line BEGIN PRIVATE KEY) that can be read", path);
}

/* Takes the private key that belongs to the certificate already in the context. */
static bool read_key(SSL_CTX *context, const diskdelta_tls_options *options, char text[DD_TLS_TEXT],
                     bool *is_out_of_memory)
{
    const char *path = options->key_file != NULL ? options->key_file : options->certificate_file;
    BIO *file = open_file("the private key", path, text);
    if (file == NULL)
        return false;
    struct password password = {.text = options->key_password};
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, give_password, &password);
    BIO_free(file);
    bool is_well = false;
    if (key == NULL) {
        *is_out_of_memory = is_memory_missing();
        say_no_key(path, &password, text);
    } else if (X509_check_private_key(SSL_CTX_get0_certificate(context), key) != 1) {
        *is_out_of_memory = is_memory_missing();
        dd_tls_say(text, "the private key in %s does not belong to the certificate in %s", path,
                   options->certificate_file);
    } else {
        is_well = SSL_CTX_use_PrivateKey(context, key) == 1;
        *is_out_of_memory = is_memory_missing();
        char reason[DD_TLS_NAME];
        dd_tls_openssl_text(reason);
        dd_tls_say(text, "the private key in %s cannot be used: %s", path, reason);
    }
    EVP_PKEY_free(key);
    ERR_clear_error();
    return is_well;
}

/* Takes the client's certificate, with those that follow it. */
static bool read_certificate(SSL_CTX *context, const char *path, char text[DD_TLS_TEXT], bool *is_out_of_memory)
{
    static const char what[] = "the client's certificate";
    BIO *file = open_file(what, path, text);
    if (file == NULL)
        return false;
    BIO_free(file);
    if (SSL_CTX_use_certificate_chain_file(context, path) != 1) {
        *is_out_of_memory = is_memory_missing();
        unsigned long code = ERR_peek_last_error();
        char reason[DD_TLS_NAME];
        if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) != ERR_R_PEM_LIB) {
            dd_tls_openssl_text(reason);
            dd_tls_say(text, "the certificate in %s cannot be used: %s", path, reason);
        } else {
            say_no_certificate(what, path, text);
        }
        ERR_clear_error();
        return false;
    }
    const ASN1_TIME *end = X509_get0_notAfter(SSL_CTX_get0_certificate(context));
    if (X509_cmp_current_time(end) < 0) {
        char time[DD_TLS_NAME];
        dd_tls_time(time, end);
        dd_tls_say(text, "the client's certificate in %s expired on %s", path, time);
        return false;
    }
    return true;
}

bool dd_tls_read_files(SSL_CTX *context, const diskdelta_tls_options *options, char text[DD_TLS_TEXT],
                       bool *is_out_of_memory)
{
    if (options->certificate_file == NULL && options->key_file != NULL) {
        dd_tls_say(text, "there is a private key, %s, but no certificate that it belongs to", options->key_file);
        return false;
    }
    if (options->ca_file != NULL) {
        if (!read_authorities(context, options->ca_file, text, is_out_of_memory))
            return false;
    } else if (SSL_CTX_set_default_verify_paths(context) != 1) {
        *is_out_of_memory = true;
        return false;
    }
    return options->certificate_file == NULL ||
           (read_certificate(context, options->certificate_file, text, is_out_of_memory) &&
            read_key(context, options, text, is_out_of_memory));
}
