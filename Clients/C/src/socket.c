/* The plain carrier: a socket as it is. */
#include "memory.h"

#include <diskdelta/carrier.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct socket_carrier {
    diskdelta_allocator allocator;
    int fd;
    /* Why the last call failed. */
    const char *error;
};

static ptrdiff_t fail(struct socket_carrier *carrier)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return DISKDELTA_CARRIER_WAIT;
    /* strerror() has a buffer that threads share; this has not. */
    const char *text = strerrordesc_np(errno);
    carrier->error = text != NULL ? text : "unknown error";
    return DISKDELTA_CARRIER_BROKEN;
}

static ptrdiff_t read_socket(void *data, void *bytes, size_t capacity)
{
    struct socket_carrier *carrier = data;
    ssize_t count;
    do
        count = recv(carrier->fd, bytes, capacity, MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    return count >= 0 ? count : fail(carrier);
}

static ptrdiff_t write_socket(void *data, const void *bytes, size_t count)
{
    struct socket_carrier *carrier = data;
    ssize_t sent;
    do
        sent = send(carrier->fd, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 ? sent : fail(carrier);
}

static unsigned wants_of_socket(void *data, bool has_output)
{
    (void)data;
    return has_output ? DISKDELTA_DIRECTION_READ | DISKDELTA_DIRECTION_WRITE : DISKDELTA_DIRECTION_READ;
}

static int fd_of_socket(void *data)
{
    const struct socket_carrier *carrier = data;
    return carrier->fd;
}

static bool is_loopback(const struct sockaddr_storage *name)
{
    if (name->ss_family == AF_INET) {
        struct sockaddr_in address;
        memcpy(&address, name, sizeof address);
        return ntohl(address.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    if (name->ss_family == AF_INET6) {
        struct sockaddr_in6 address;
        memcpy(&address, name, sizeof address);
        return IN6_IS_ADDR_LOOPBACK(&address.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&address.sin6_addr) && address.sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    }
    return false;
}

static bool is_socket_private(void *data)
{
    const struct socket_carrier *carrier = data;
    struct sockaddr_storage name = {0};
    socklen_t size = sizeof name;
    if (getpeername(carrier->fd, (struct sockaddr *)&name, &size) != 0)
        return false;
    return name.ss_family == AF_UNIX || is_loopback(&name);
}

static const char *error_of_socket(void *data)
{
    const struct socket_carrier *carrier = data;
    return carrier->error;
}

static void finish_socket(void *data)
{
    const struct socket_carrier *carrier = data;
    (void)shutdown(carrier->fd, SHUT_WR);
}

static void close_socket(void *data)
{
    struct socket_carrier *carrier = data;
    (void)close(carrier->fd);
    diskdelta_allocator allocator = carrier->allocator;
    dd_release(&allocator, carrier);
}

static const diskdelta_carrier_functions functions = {
    .struct_size = sizeof functions,
    .read = read_socket,
    .write = write_socket,
    .wants = wants_of_socket,
    .fd = fd_of_socket,
    .is_private = is_socket_private,
    .error = error_of_socket,
    .finish = finish_socket,
    .close = close_socket,
};

int diskdelta_carrier_on_socket(int fd, const diskdelta_allocator *given, diskdelta_carrier *carrier)
{
    diskdelta_allocator allocator = dd_allocator(given);
    int type = 0;
    socklen_t size = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM)
        return -1;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -1;
    struct socket_carrier *data = dd_allocate(&allocator, sizeof *data);
    if (data == NULL)
        return -1;
    data->allocator = allocator;
    data->fd = fd;
    data->error = "";
    *carrier = (diskdelta_carrier){&functions, data};
    return 0;
}
