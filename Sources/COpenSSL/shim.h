#pragma once
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

/* What OpenSSL has as macros that Swift cannot see. Each does what the macro of that name does, and nothing else. */

static inline int copenssl_SSL_CTX_set_min_proto_version(SSL_CTX *context, int version)
{
    return (int)SSL_CTX_set_min_proto_version(context, version);
}

static inline int copenssl_SSL_CTX_set_max_proto_version(SSL_CTX *context, int version)
{
    return (int)SSL_CTX_set_max_proto_version(context, version);
}

static inline void copenssl_SSL_CTX_set_mode(SSL_CTX *context, long mode)
{
    (void)SSL_CTX_set_mode(context, mode);
}

static inline void copenssl_SSL_CTX_set_session_cache_mode(SSL_CTX *context, long mode)
{
    (void)SSL_CTX_set_session_cache_mode(context, mode);
}

static inline void copenssl_SSL_CTX_set_no_ticket(SSL_CTX *context)
{
    (void)SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
}

static inline int copenssl_SSL_CTX_add1_chain_cert(SSL_CTX *context, X509 *certificate)
{
    return (int)SSL_CTX_add1_chain_cert(context, certificate);
}

static inline int copenssl_SSL_set_tlsext_host_name(SSL *ssl, const char *name)
{
    return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline int copenssl_sk_GENERAL_NAME_num(const GENERAL_NAMES *names)
{
    return sk_GENERAL_NAME_num(names);
}

static inline const GENERAL_NAME *copenssl_sk_GENERAL_NAME_value(const GENERAL_NAMES *names, int index)
{
    return sk_GENERAL_NAME_value(names, index);
}
