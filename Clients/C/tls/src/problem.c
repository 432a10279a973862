#include "problem.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

/* ---- The server's certificate ---------------------------------------------------------------------------------- */

static void say_expired(char text[DD_TLS_TEXT], const char *name, X509 *certificate, bool is_too_early)
{
    char time[DD_TLS_NAME];
    dd_tls_time(time, is_too_early ? X509_get0_notBefore(certificate) : X509_get0_notAfter(certificate));
    if (is_too_early)
        dd_tls_say(text,
                   "the server's certificate is not valid yet: \"%s\" starts on %s; is this machine's clock right?",
                   name, time);
    else
        dd_tls_say(text, "the server's certificate is not valid any more: \"%s\" expired on %s", name, time);
}

static void say_wrong_name(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, X509 *certificate)
{
    char names[DD_TLS_NAME];
    dd_tls_alternative_names(names, certificate);
    dd_tls_say(text, "the server's certificate is not for %s, but for %s", peer->name, names);
}

static void say_unknown_authority(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, X509 *certificate)
{
    char issuer[DD_TLS_NAME];
    dd_tls_name(issuer, X509_get_issuer_name(certificate));
    if (peer->ca_file != NULL)
        dd_tls_say(text, "the server's certificate leads to \"%s\", which is not among the authorities in %s", issuer,
                   peer->ca_file);
    else
        dd_tls_say(text, "the server's certificate leads to \"%s\", which is not among the authorities of this system",
                   issuer);
}

void dd_tls_say_untrusted(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, X509_STORE_CTX *store)
{
    int problem = X509_STORE_CTX_get_error(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    char name[DD_TLS_NAME] = "no name";
    if (certificate == NULL)
        certificate = X509_STORE_CTX_get0_cert(store);
    if (certificate != NULL)
        dd_tls_name(name, X509_get_subject_name(certificate));
    switch (certificate != NULL ? problem : X509_V_ERR_UNSPECIFIED) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        say_expired(text, name, certificate, false);
        break;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        say_expired(text, name, certificate, true);
        break;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        say_wrong_name(text, peer, certificate);
        break;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        say_unknown_authority(text, peer, certificate);
        break;
    default:
        dd_tls_say(text, "the server's certificate cannot be trusted: \"%s\": %s", name,
                   X509_verify_cert_error_string(problem));
    }
}

/* ---- Alerts, and what OpenSSL finds ---------------------------------------------------------------------------- */

/* Of RFC 8446, 6.2; OpenSSL has no name for it in this version. */
enum { ALERT_CERTIFICATE_REQUIRED = 116 };

/* What the server says of the client's certificate. */
static void say_not_accepted(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, const char *why)
{
    if (peer->certificate_file != NULL)
        dd_tls_say(text, "the server does not accept the client's certificate in %s: %s", peer->certificate_file, why);
    else
        dd_tls_say(text, "the server asks for a client's certificate, and none was given: %s", why);
}

/* Says what an alert of the server means. True where connecting again would not help. */
static bool say_alert(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, int alert)
{
    switch (alert) {
    case ALERT_CERTIFICATE_REQUIRED:
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
        say_not_accepted(text, peer,
                         alert == ALERT_CERTIFICATE_REQUIRED ? "certificate required"
                                                             : SSL_alert_desc_string_long(alert));
        return true;
    case SSL_AD_ACCESS_DENIED:
        dd_tls_say(text, "the server does not let this client in");
        return true;
    case SSL_AD_NO_APPLICATION_PROTOCOL:
        dd_tls_say(text, "the server speaks TLS, but not DiskDelta's protocol (ALPN diskdelta/1)");
        return true;
    case SSL_AD_PROTOCOL_VERSION:
        dd_tls_say(text, "the server does not speak TLS 1.3 or later");
        return true;
    case SSL_AD_UNRECOGNIZED_NAME:
        dd_tls_say(text, "the server has no certificate for %s", peer->name);
        return true;
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_INSUFFICIENT_SECURITY:
        dd_tls_say(text, "the server and this client have no way of securing the connection in common: %s",
                   SSL_alert_desc_string_long(alert));
        return true;
    default:
        dd_tls_say(text, "the server ended TLS with the alert \"%s\"", SSL_alert_desc_string_long(alert));
        return false;
    }
}

bool dd_tls_say_problem(char text[DD_TLS_TEXT], const struct dd_tls_peer *peer, bool is_ready)
{
    unsigned long code = ERR_peek_last_error();
    int reason = ERR_GET_REASON(code);
    char openssl[DD_TLS_NAME];
    if (reason == ERR_R_MALLOC_FAILURE) {
        ERR_clear_error();
        dd_tls_say(text, "there is not enough memory for TLS");
        return false;
    }
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET && reason <= SSL_AD_REASON_OFFSET + 255) {
        ERR_clear_error();
        return say_alert(text, peer, reason - SSL_AD_REASON_OFFSET);
    }
    bool is_refused = false;
    switch (ERR_GET_LIB(code) == ERR_LIB_SSL ? reason : 0) {
    case SSL_R_UNEXPECTED_EOF_WHILE_READING:
        dd_tls_say(text, is_ready ? "the connection was cut: it ended without the end of TLS"
                                  : "the server closed the connection before TLS was set up");
        break;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_HTTP_REQUEST:
        is_refused = !is_ready;
        dd_tls_say(text,
                   is_ready ? "what arrived is no TLS any more" : "the server does not speak TLS at this address");
        break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
        is_refused = true;
        dd_tls_say(text, "the server does not speak TLS 1.3 or later");
        break;
    default:
        dd_tls_openssl_text(openssl);
        dd_tls_say(text, "TLS failed: %s", openssl);
    }
    ERR_clear_error();
    return is_refused;
}
