#include "text.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void dd_tls_say(char text[DD_TLS_TEXT], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, DD_TLS_TEXT, format, arguments);
    va_end(arguments);
    if (size < 0)
        text[0] = '\0';
    if (size >= DD_TLS_TEXT) {
        /* Cut between two characters: back to before the last one that starts. */
        size_t end = DD_TLS_TEXT - 1;
        while (end > 0 && ((unsigned char)text[end - 1] & 0xc0) == 0x80)
            end--;
        text[end > 0 ? end - 1 : 0] = '\0';
    }
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            *at = '?';
}

/* What was written to memory, cut to fit; frees the memory. */
static void take(char text[DD_TLS_NAME], BIO *memory)
{
    int size = memory != NULL ? BIO_read(memory, text, DD_TLS_NAME - 1) : 0;
    text[size > 0 ? size : 0] = '\0';
    for (char *at = text; *at != '\0'; at++)
        if (*at < 0x20 || *at > 0x7e)
            *at = '?';
    BIO_free(memory);
}

void dd_tls_name(char name[DD_TLS_NAME], const X509_NAME *of)
{
    BIO *memory = BIO_new(BIO_s_mem());
    /* RFC 2253 writes everything that is not ASCII as an escape. */
    if (memory != NULL && of != NULL)
        (void)X509_NAME_print_ex(memory, of, 0, XN_FLAG_RFC2253);
    take(name, memory);
    if (name[0] == '\0')
        (void)snprintf(name, DD_TLS_NAME, "no name");
}

void dd_tls_time(char time[DD_TLS_NAME], const ASN1_TIME *of)
{
    BIO *memory = BIO_new(BIO_s_mem());
    if (memory != NULL)
        (void)ASN1_TIME_print(memory, of);
    take(time, memory);
}

static void write_name(BIO *to, const GENERAL_NAME *name, const char *separator)
{
    int type = 0;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    char address[INET6_ADDRSTRLEN];
    if (type == GEN_DNS) {
        (void)BIO_printf(to, "%sDNS:%.*s", separator, ASN1_STRING_length(value),
                         (const char *)ASN1_STRING_get0_data(value));
    } else if (type == GEN_IPADD) {
        int family = ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6;
        if ((family == AF_INET || ASN1_STRING_length(value) == 16) &&
            inet_ntop(family, ASN1_STRING_get0_data(value), address, sizeof address) != NULL)
            (void)BIO_printf(to, "%sIP:%s", separator, address);
    }
}

void dd_tls_alternative_names(char names[DD_TLS_NAME], X509 *certificate)
{
    BIO *memory = BIO_new(BIO_s_mem());
    GENERAL_NAMES *found = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; memory != NULL && i < sk_GENERAL_NAME_num(found); i++)
        write_name(memory, sk_GENERAL_NAME_value(found, i), BIO_pending(memory) > 0 ? ", " : "");
    GENERAL_NAMES_free(found);
    take(names, memory);
    if (names[0] == '\0')
        (void)snprintf(names, DD_TLS_NAME, "no name and no address");
}

void dd_tls_openssl_text(char text[DD_TLS_NAME])
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);
    if (ERR_SYSTEM_ERROR(code))
        reason = strerror(ERR_GET_REASON(code));
    (void)snprintf(text, DD_TLS_NAME, "%s", reason != NULL ? reason : "OpenSSL gives no reason");
    ERR_clear_error();
}
