#include "connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void dd_connector_init(struct dd_connector *connector)
{
    *connector = (struct dd_connector){.fd = -1};
}

void dd_connector_stop(struct dd_connector *connector)
{
    if (connector->fd >= 0)
        (void)close(connector->fd);
    connector->fd = -1;
    if (connector->addresses != NULL)
        freeaddrinfo(connector->addresses);
    connector->addresses = NULL;
    connector->next = NULL;
}

/* Parts `HOST:PORT` or `[IPv6]:PORT`; `host` has room for DD_HOST_SIZE bytes. Gives the port, or NULL. */
static const char *split_address(const char *address, char *host)
{
    bool has_brackets = address[0] == '[';
    const char *start = address + (has_brackets ? 1 : 0);
    const char *end = has_brackets ? strchr(start, ']') : strchr(start, ':');
    if (end == NULL || end == start || end - start >= DD_HOST_SIZE)
        return NULL;
    const char *port = has_brackets ? end + 1 : end;
    if (*port++ != ':' || *port == '\0' || strlen(port) > 5 || strspn(port, "0123456789") != strlen(port))
        return NULL;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    return port;
}

/* Makes a socket and starts to connect it. */
static void try_address(struct dd_connector *connector, const struct sockaddr *address, socklen_t size)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    connector->error = fd >= 0 && connect(fd, address, size) == 0 ? 0 : errno;
    if (fd >= 0 && (connector->error == 0 || connector->error == EINPROGRESS || connector->error == EINTR)) {
        connector->fd = fd;
        return;
    }
    if (fd >= 0)
        (void)close(fd);
}

/* The next address of the name. */
static void try_next(struct dd_connector *connector)
{
    while (connector->fd < 0 && connector->next != NULL) {
        const struct addrinfo *each = connector->next;
        connector->next = each->ai_next;
        try_address(connector, each->ai_addr, each->ai_addrlen);
    }
}

static enum dd_progress fail_to_connect(struct dd_connector *connector, const char *address, diskdelta_failure *failure)
{
    const char *text = strerrordesc_np(connector->error);
    dd_fail(failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "cannot connect to %s: %s", address,
            text != NULL ? text : "unknown error");
    dd_connector_stop(connector);
    return DD_PROGRESS_FAILED;
}

static enum dd_progress start_unix(struct dd_connector *connector, const char *address, diskdelta_failure *failure)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = address + strlen("unix:");
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof name.sun_path) {
        dd_fail(failure, DISKDELTA_REASON_INVALID_PARAMETER, "the path of a Unix socket has 1 to %zu bytes: %s",
                sizeof name.sun_path - 1, address);
        return DD_PROGRESS_FAILED;
    }
    memcpy(name.sun_path, path, size + 1);
    try_address(connector, (const struct sockaddr *)&name, sizeof name);
    return connector->fd >= 0 ? DD_PROGRESS_WAIT : fail_to_connect(connector, address, failure);
}

enum dd_progress dd_connector_start(struct dd_connector *connector, const char *address, diskdelta_failure *failure)
{
    dd_connector_init(connector);
    if (strncmp(address, "unix:", 5) == 0)
        return start_unix(connector, address, failure);
    const char *port = split_address(address, connector->host);
    if (port == NULL) {
        dd_fail(failure, DISKDELTA_REASON_INVALID_PARAMETER,
                "an address is HOST:PORT, [IPv6]:PORT or unix:/path, not \"%s\"", address);
        return DD_PROGRESS_FAILED;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    int problem = getaddrinfo(connector->host, port, &hints, &connector->addresses);
    if (problem != 0) {
        connector->addresses = NULL;
        dd_fail(failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "cannot find %s: %s", connector->host,
                gai_strerror(problem));
        return DD_PROGRESS_FAILED;
    }
    connector->error = EADDRNOTAVAIL;
    connector->next = connector->addresses;
    try_next(connector);
    return connector->fd >= 0 ? DD_PROGRESS_WAIT : fail_to_connect(connector, address, failure);
}

enum dd_progress dd_connector_step(struct dd_connector *connector, const char *address, int *fd,
                                   diskdelta_failure *failure)
{
    while (connector->fd >= 0) {
        struct pollfd entry = {.fd = connector->fd, .events = POLLOUT};
        int ready = poll(&entry, 1, 0);
        if (ready == 0 || (ready < 0 && errno == EINTR))
            return DD_PROGRESS_WAIT;
        socklen_t size = sizeof connector->error;
        if (ready < 0 || getsockopt(connector->fd, SOL_SOCKET, SO_ERROR, &connector->error, &size) != 0)
            connector->error = errno;
        if (connector->error == 0) {
            /* Requests are small and wait for nothing. */
            int on = 1;
            if (connector->addresses != NULL)
                (void)setsockopt(connector->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            *fd = connector->fd;
            connector->fd = -1;
            dd_connector_stop(connector);
            return DD_PROGRESS_DONE;
        }
        (void)close(connector->fd);
        connector->fd = -1;
        try_next(connector);
    }
    return fail_to_connect(connector, address, failure);
}
