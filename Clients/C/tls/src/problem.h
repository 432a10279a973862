/* What went wrong with a connection, told to a person, and whether connecting again could help. */
#ifndef DD_TLS_PROBLEM_H
#define DD_TLS_PROBLEM_H

#include "text.h"

#include <openssl/ssl.h>

#include <stdbool.h>

/* What sentences about a connection name. */
struct dd_tls_peer {
    /* The name or address that the server's certificate must bear. */
    char *name;
    /* The file of trusted authorities; NULL for those of the system. */
    char *ca_file;
    /* The file of the client's certificate; NULL for none. */
    char *certificate_file;
};

/* Says what is wrong with a certificate that the server showed, from inside the callback of its verification. */
void dd_tls_say_untrusted(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, X509_STORE_CTX *store);

/*
 * Says what OpenSSL reported last, and empties its queue. True where the server is not who it should be or does not let
 * the client in, so that connecting again would not help.
 */
bool dd_tls_say_problem(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, bool is_ready);

#endif
