#include "fake_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct fake_server {
    struct fake_script *script;
    int listener;
    pthread_t thread;
    char folder[64];
    char path[96];
    char address[128];
};

static void must(bool held, const char *what)
{
    if (!held) {
        perror(what);
        abort();
    }
}

static bool send_pieces(int fd, const struct bytes *bytes, size_t piece)
{
    for (size_t at = 0; at < bytes->size;) {
        size_t count = bytes->size - at;
        if (piece != 0 && piece < count)
            count = piece;
        ssize_t sent = send(fd, bytes->data + at, count, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        at += (size_t)sent;
    }
    return true;
}

bool fake_send(int fd, const struct bytes *bytes)
{
    return send_pieces(fd, bytes, 0);
}

static bool receive_all(int fd, uint8_t *bytes, size_t count)
{
    while (count > 0) {
        ssize_t received = recv(fd, bytes, count, 0);
        if (received <= 0)
            return false;
        bytes += received;
        count -= (size_t)received;
    }
    return true;
}

bool fake_receive_payload(int fd, struct dd_header *header, struct bytes *payload)
{
    uint8_t bytes[DD_HEADER_SIZE];
    if (!receive_all(fd, bytes, sizeof bytes))
        return false;
    *header = dd_header_decode(bytes);
    for (uint32_t i = 0; i < header->length; i++) {
        uint8_t byte;
        if (!receive_all(fd, &byte, 1))
            return false;
        bytes_append(payload, &byte, 1);
    }
    return true;
}

bool fake_receive(int fd, struct dd_header *header)
{
    struct bytes payload = {0};
    bool is_well = fake_receive_payload(fd, header, &payload);
    bytes_free(&payload);
    return is_well;
}

bool fake_receive_call(int fd, struct fake_call *call)
{
    struct dd_header header = {0};
    struct bytes payload = {0};
    while (header.type != DD_FRAME_OPEN) {
        payload.size = 0;
        if (!fake_receive_payload(fd, &header, &payload)) {
            bytes_free(&payload);
            return false;
        }
    }
    size_t path = dd_load16(payload.data);
    size_t at = 4 + path + dd_load16(payload.data + 2);
    *call = (struct fake_call){.stream = header.stream};
    memcpy(call->path, payload.data + 4, path < sizeof call->path ? path : 0);
    bytes_append(&call->request, payload.data + at, payload.size - at);
    bytes_free(&payload);
    return true;
}

static void serve(const struct fake_script *script, int fd)
{
    uint8_t preface[DD_PREFACE_SIZE];
    struct dd_header header = {0};
    bool is_well = receive_all(fd, preface, sizeof preface) && fake_receive(fd, &header) &&
                   send_pieces(fd, &script->hello, script->piece);
    if (is_well && (script->answer.size > 0 || script->go_on != NULL)) {
        while (is_well && header.type != DD_FRAME_OPEN && !script->takes_opens)
            is_well = fake_receive(fd, &header);
        is_well = is_well && send_pieces(fd, &script->answer, script->piece);
        if (is_well && script->go_on != NULL)
            script->go_on(fd, script->context);
    }
    /* Closing with something unread would throw away what is still under way to the client. */
    (void)shutdown(fd, SHUT_WR);
    uint8_t rest[256];
    while (recv(fd, rest, sizeof rest, 0) > 0)
        ;
    (void)close(fd);
}

static void *run(void *argument)
{
    struct fake_server *server = argument;
    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        serve(server->script, fd);
    }
}

struct fake_server *fake_server_start(struct fake_script *script)
{
    struct fake_server *server = calloc(1, sizeof *server);
    must(server != NULL, "calloc");
    server->script = script;
    const char *folder = getenv("TMPDIR");
    snprintf(server->folder, sizeof server->folder, "%.40s/diskdelta-XXXXXX", folder != NULL ? folder : P_tmpdir);
    must(mkdtemp(server->folder) != NULL, "mkdtemp");
    snprintf(server->path, sizeof server->path, "%s/socket", server->folder);
    snprintf(server->address, sizeof server->address, "unix:%s", server->path);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    memcpy(name.sun_path, server->path, strlen(server->path) + 1);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(server->listener >= 0, "socket");
    must(bind(server->listener, (const struct sockaddr *)&name, sizeof name) == 0, "bind");
    must(listen(server->listener, 16) == 0, "listen");
    must(pthread_create(&server->thread, NULL, run, server) == 0, "pthread_create");
    return server;
}

const char *fake_server_address(const struct fake_server *server)
{
    return server->address;
}

void fake_server_silence(struct fake_server *server)
{
    char elsewhere[112];
    snprintf(elsewhere, sizeof elsewhere, "%s.away", server->path);
    must(rename(server->path, elsewhere) == 0, "rename");
}

void fake_server_listen(struct fake_server *server)
{
    char elsewhere[112];
    snprintf(elsewhere, sizeof elsewhere, "%s.away", server->path);
    must(rename(elsewhere, server->path) == 0, "rename");
}

void fake_server_stop(struct fake_server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    (void)unlink(server->path);
    (void)rmdir(server->folder);
    free(server);
}
