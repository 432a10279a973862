/* Sentences for a person, from certificates and from what OpenSSL reports. */
#ifndef DD_TLS_TEXT_H
#define DD_TLS_TEXT_H

#include <openssl/x509.h>

#include <stddef.h>

enum { DD_TLS_TEXT = 512, DD_TLS_NAME = 160 };

/* Writes a sentence, cut to fit; bytes that are no printable ASCII, and no UTF-8, become `?`. */
void dd_tls_say(char text[DD_TLS_TEXT], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The name of a certificate's subject or issuer, in printable ASCII. */
void dd_tls_name(char name[DD_TLS_NAME], const X509_NAME *of);

/* A time of a certificate, as in "Nov 24 12:00:00 2026 GMT". */
void dd_tls_time(char time[DD_TLS_NAME], const ASN1_TIME *of);

/* The names and addresses that a certificate is for, as in "DNS:a.example, IP:127.0.0.1". */
void dd_tls_alternative_names(char names[DD_TLS_NAME], X509 *certificate);

/* What OpenSSL says about the failure that it reported last; empties its queue. */
void dd_tls_openssl_text(char text[DD_TLS_NAME]);

#endif
