/*
 * A server that sends what a test says, in a thread of its own, on a Unix socket. It takes one connection after
 * another: sends the hello, waits for OPEN where there is more to send, sends it, ends its direction, and waits for the
 * client to close.
 */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include "frames.h"

#include <pthread.h>

struct fake_server;

struct fake_script {
    /* What is sent before and after the first OPEN. */
    struct bytes hello;
    struct bytes answer;
    /* How many bytes go in one write; 0: all. */
    size_t piece;
    /* The first OPEN is left for `go_on` to receive. */
    bool takes_opens;
    /* Where set: sends what a connection gets after `answer`, in place of ending its direction. */
    void (*go_on)(int fd, void *context);
    void *context;
};

/* Starts the server. The script may be changed while no connection is open. */
struct fake_server *fake_server_start(struct fake_script *script);

/* The address to connect to. */
const char *fake_server_address(const struct fake_server *server);

void fake_server_stop(struct fake_server *server);

/* The address refuses connections, and takes them again. */
void fake_server_silence(struct fake_server *server);
void fake_server_listen(struct fake_server *server);

/* Sends all of the bytes; for `go_on`. False where the client has gone. */
bool fake_send(int fd, const struct bytes *bytes);

/* Receives the client's next frame and appends its payload; false at the end. */
bool fake_receive_payload(int fd, struct dd_header *header, struct bytes *payload);

/* What OPEN said. The request is freed by whoever received it. */
struct fake_call {
    uint32_t stream;
    char path[256];
    struct bytes request;
};

/* Receives until the next OPEN; false at the end. */
bool fake_receive_call(int fd, struct fake_call *call);

/* Receives the client's next frame, its payload discarded; false at the end. */
bool fake_receive(int fd, struct dd_header *header);

#endif
