#include "tls_front.h"

#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The first byte of a connection that only waits for its turn. */
enum { SETTLING = 'Q' };

struct tls_front {
    struct tls_front_script *script;
    int listener;
    pthread_t thread;
    char address[32];
};

/* A connection: TLS as bytes in memory, between two sockets. */
struct link {
    struct tls_front_script *script;
    SSL *ssl;
    /* What arrived, and what is to be sent. */
    BIO *in;
    BIO *out;
    int client;
    int server;
    size_t sent;
};

static void must(bool held, const char *what)
{
    if (!held) {
        perror(what);
        abort();
    }
}

struct tls_front_script tls_front_script(const char *address)
{
    return (struct tls_front_script){
        .certificate = "server", .protocol = "diskdelta/1", .address = address, .cut = (size_t)-1};
}

/* ---- One connection -------------------------------------------------------------------------------------------- */

static int select_protocol(SSL *ssl, const unsigned char **chosen, unsigned char *size, const unsigned char *offered,
                           unsigned offered_size, void *context)
{
    const struct tls_front_script *script = context;
    (void)ssl;
    size_t wanted = strlen(script->protocol);
    for (unsigned at = 0; at < offered_size && offered[at] < offered_size - at; at += 1u + offered[at]) {
        if (offered[at] == wanted && memcmp(offered + at + 1, script->protocol, wanted) == 0) {
            *chosen = offered + at + 1;
            *size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *make_context(struct tls_front_script *script)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    must(context != NULL, "SSL_CTX_new");
    char certificate[512];
    char key[512];
    snprintf(certificate, sizeof certificate, CERTIFICATE("%s.pem"), script->certificate);
    snprintf(key, sizeof key, CERTIFICATE("%s.key"), script->certificate);
    must(SSL_CTX_use_certificate_chain_file(context, certificate) == 1 &&
             SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1,
         "the certificate of the server");
    if (script->max_version != 0)
        must(SSL_CTX_set_max_proto_version(context, script->max_version) == 1, "the version");
    if (script->client_authority != NULL) {
        must(SSL_CTX_load_verify_file(context, script->client_authority) == 1, "the authority of clients");
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    if (script->protocol != NULL)
        SSL_CTX_set_alpn_select_cb(context, select_protocol, script);
    return context;
}

static int connect_to(const char *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s", address + strlen("unix:"));
    must(fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof name) == 0, "connect");
    return fd;
}

/* Sends what TLS has written. False at the cut, or where the client has gone. */
static bool flush(struct link *link)
{
    unsigned char bytes[4096];
    int count;
    size_t piece = link->script->piece != 0 ? link->script->piece : sizeof bytes;
    while ((count = BIO_read(link->out, bytes, (int)piece)) > 0) {
        size_t left = link->script->cut - link->sent;
        size_t sending = (size_t)count < left ? (size_t)count : left;
        size_t spoilt = link->script->spoilt - link->sent;
        if (link->script->spoilt > 0 && spoilt < sending)
            bytes[spoilt] ^= 0x10;
        if (sending > 0 && send(link->client, bytes, sending, MSG_NOSIGNAL) != (ssize_t)sending)
            return false;
        link->sent += sending;
        if (sending < (size_t)count) {
            atomic_store(&link->script->was_cut, true);
            return false;
        }
    }
    return true;
}

/* Takes what the client sent. False at the end of the connection. */
static bool from_client(struct link *link)
{
    unsigned char bytes[4096];
    ssize_t received = recv(link->client, bytes, sizeof bytes, 0);
    if (received <= 0)
        return false;
    must(BIO_write(link->in, bytes, (int)received) == received, "BIO_write");
    if (!SSL_is_init_finished(link->ssl)) {
        int code = SSL_accept(link->ssl);
        if (code != 1 && SSL_get_error(link->ssl, code) != SSL_ERROR_WANT_READ) {
            /* The alert that says why. */
            (void)flush(link);
            return false;
        }
    }
    int count;
    while (SSL_is_init_finished(link->ssl) && (count = SSL_read(link->ssl, bytes, sizeof bytes)) > 0) {
        atomic_fetch_add(&link->script->received, (size_t)count);
        if (link->server >= 0 && send(link->server, bytes, (size_t)count, MSG_NOSIGNAL) != count)
            return false;
    }
    if ((SSL_get_shutdown(link->ssl) & SSL_RECEIVED_SHUTDOWN) != 0 && link->server >= 0)
        (void)shutdown(link->server, SHUT_WR);
    return flush(link);
}

/* Takes what the server sent. False where nothing more can be sent. */
static bool from_server(struct link *link)
{
    unsigned char bytes[4096];
    ssize_t received = recv(link->server, bytes, sizeof bytes, 0);
    if (received > 0)
        return SSL_write(link->ssl, bytes, (int)received) == received && flush(link);
    if (!link->script->without_close)
        (void)SSL_shutdown(link->ssl);
    bool is_well = flush(link);
    (void)shutdown(link->client, SHUT_WR);
    (void)close(link->server);
    link->server = -1;
    return is_well;
}

static void run_link(struct link *link)
{
    bool is_open = true;
    while (is_open) {
        /* The server is heard once there is something to put its words into. */
        bool is_heard = link->server >= 0 && SSL_is_init_finished(link->ssl);
        struct pollfd entries[2] = {{.fd = link->client, .events = POLLIN},
                                    {.fd = is_heard ? link->server : -1, .events = POLLIN}};
        if (poll(entries, 2, -1) < 0)
            break;
        if (entries[0].revents != 0)
            is_open = from_client(link);
        if (is_open && entries[1].revents != 0)
            is_open = from_server(link);
    }
}

/* Says what a server says that does not speak TLS, and hears what the client says to that. */
static void serve_plain(const struct tls_front_script *script, int client)
{
    char bytes[512];
    (void)send(client, script->plain, strlen(script->plain), MSG_NOSIGNAL);
    while (recv(client, bytes, sizeof bytes, 0) > 0)
        ;
    (void)close(client);
}

static void serve(struct tls_front_script *script, int client)
{
    if (script->plain != NULL) {
        serve_plain(script, client);
        return;
    }
    SSL_CTX *context = make_context(script);
    struct link link = {.script = script, .client = client, .server = -1, .ssl = SSL_new(context)};
    link.in = BIO_new(BIO_s_mem());
    link.out = BIO_new(BIO_s_mem());
    must(link.ssl != NULL && link.in != NULL && link.out != NULL, "SSL_new");
    SSL_set_bio(link.ssl, link.in, link.out);
    SSL_set_accept_state(link.ssl);
    if (script->address != NULL)
        link.server = connect_to(script->address);
    run_link(&link);
    if (link.server >= 0)
        (void)close(link.server);
    (void)shutdown(client, SHUT_WR);
    (void)close(client);
    SSL_free(link.ssl);
    SSL_CTX_free(context);
    atomic_store(&script->sent, link.sent);
}

/* ---- The thread ------------------------------------------------------------------------------------------------ */

static void *run(void *argument)
{
    struct tls_front *front = argument;
    for (;;) {
        int client = accept(front->listener, NULL, NULL);
        if (client < 0)
            return NULL;
        int on = 1;
        (void)setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        char first = 0;
        if (recv(client, &first, 1, MSG_PEEK) == 1 && first == SETTLING)
            (void)close(client);
        else
            serve(front->script, client);
    }
}

struct tls_front *tls_front_start(struct tls_front_script *script)
{
    struct tls_front *front = calloc(1, sizeof *front);
    must(front != NULL, "calloc");
    front->script = script;
    front->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof name;
    must(front->listener >= 0 && bind(front->listener, (const struct sockaddr *)&name, size) == 0 &&
             listen(front->listener, 16) == 0 && getsockname(front->listener, (struct sockaddr *)&name, &size) == 0,
         "listen");
    snprintf(front->address, sizeof front->address, "127.0.0.1:%u", (unsigned)ntohs(name.sin_port));
    must(pthread_create(&front->thread, NULL, run, front) == 0, "pthread_create");
    return front;
}

const char *tls_front_address(const struct tls_front *front)
{
    return front->address;
}

void tls_front_settle(const struct tls_front *front)
{
    /* Connections are served in their order, so this one's end is the end of those before it. */
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    name.sin_port = htons((uint16_t)atoi(strchr(front->address, ':') + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof name) == 0, "connect");
    char byte = SETTLING;
    must(send(fd, &byte, 1, MSG_NOSIGNAL) == 1, "send");
    while (recv(fd, &byte, 1, 0) > 0)
        ;
    (void)close(fd);
}

void tls_front_stop(struct tls_front *front)
{
    (void)shutdown(front->listener, SHUT_RDWR);
    (void)pthread_join(front->thread, NULL);
    (void)close(front->listener);
    free(front);
}
