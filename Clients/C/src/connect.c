#include "connect.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

uint64_t dd_now(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int dd_until(uint64_t deadline)
{
    if (deadline == 0)
        return -1;
    uint64_t now = dd_now();
    if (deadline <= now)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}

/* Waits until the connection stands. 0, or an errno. */
static int finish_connecting(int fd, uint64_t deadline)
{
    for (;;) {
        struct pollfd entry = {.fd = fd, .events = POLLOUT};
        int ready = poll(&entry, 1, dd_until(deadline));
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return errno;
        if (ready == 0)
            return ETIMEDOUT;
        int error = 0;
        socklen_t size = sizeof error;
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
            return errno;
        return error;
    }
}

/* A connected socket, or -1 with `*error` set to an errno. */
static int connect_socket(const struct sockaddr *address, socklen_t size, uint64_t deadline, int *error)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        *error = errno;
        return -1;
    }
    *error = connect(fd, address, size) == 0 ? 0 : errno;
    if (*error == EINPROGRESS || *error == EINTR)
        *error = finish_connecting(fd, deadline);
    if (*error != 0) {
        (void)close(fd);
        return -1;
    }
    /* Requests are small and wait for nothing. */
    int on = 1;
    if (address->sa_family != AF_UNIX)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static int fail_to_connect(const char *address, int error, uint64_t deadline, struct dd_failure *failure)
{
    if (error == ETIMEDOUT && dd_until(deadline) == 0)
        dd_fail(failure, DISKDELTA_REASON_DEADLINE, "%s did not answer in time", address);
    else
        dd_fail(failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "cannot connect to %s: %s", address, strerror(error));
    return -1;
}

static int connect_unix(const char *address, uint64_t deadline, struct dd_failure *failure)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const char *path = address + strlen("unix:");
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof name.sun_path) {
        dd_fail(failure, DISKDELTA_REASON_INVALID_PARAMETER, "the path of a Unix socket has 1 to %zu bytes: %s",
                sizeof name.sun_path - 1, address);
        return -1;
    }
    memcpy(name.sun_path, path, size + 1);
    int error = 0;
    int fd = connect_socket((const struct sockaddr *)&name, sizeof name, deadline, &error);
    return fd >= 0 ? fd : fail_to_connect(address, error, deadline, failure);
}

/* Parts `HOST:PORT` or `[IPv6]:PORT`; `host` has room for `capacity` bytes. Gives the port, or NULL. */
static const char *split_address(const char *address, char *host, size_t capacity)
{
    bool has_brackets = address[0] == '[';
    const char *start = address + (has_brackets ? 1 : 0);
    const char *end = has_brackets ? strchr(start, ']') : strchr(start, ':');
    if (end == NULL || end == start || (size_t)(end - start) >= capacity)
        return NULL;
    const char *port = has_brackets ? end + 1 : end;
    if (*port++ != ':' || *port == '\0' || strlen(port) > 5 || strspn(port, "0123456789") != strlen(port))
        return NULL;
    memcpy(host, start, (size_t)(end - start));
    host[end - start] = '\0';
    return port;
}

int dd_connect(const char *address, uint64_t deadline, struct dd_failure *failure)
{
    if (strncmp(address, "unix:", 5) == 0)
        return connect_unix(address, deadline, failure);
    char host[DD_HOST_SIZE];
    const char *port = split_address(address, host, sizeof host);
    if (port == NULL) {
        dd_fail(failure, DISKDELTA_REASON_INVALID_PARAMETER,
                "an address is HOST:PORT, [IPv6]:PORT or unix:/path, not \"%s\"", address);
        return -1;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int problem = getaddrinfo(host, port, &hints, &found);
    if (problem != 0) {
        dd_fail(failure, DISKDELTA_REASON_SERVER_UNAVAILABLE, "cannot find %s: %s", host, gai_strerror(problem));
        return -1;
    }
    int fd = -1;
    int error = EADDRNOTAVAIL;
    for (const struct addrinfo *each = found; each != NULL && fd < 0; each = each->ai_next)
        fd = connect_socket(each->ai_addr, each->ai_addrlen, deadline, &error);
    freeaddrinfo(found);
    return fd >= 0 ? fd : fail_to_connect(address, error, deadline, failure);
}

void dd_host(const char *address, char host[DD_HOST_SIZE])
{
    host[0] = '\0';
    if (strncmp(address, "unix:", 5) != 0)
        (void)split_address(address, host, DD_HOST_SIZE);
}
