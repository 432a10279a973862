#define _GNU_SOURCE
#include "CDiskDeltaSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often a resolution that raced with a rename is tried again: a directory that is renamed all the time must not
 * keep us here for ever. */
enum { MAXIMUM_TRIES = 64 };

int diskdelta_open_beneath(int directory, const char *path)
{
    struct open_how how;
    int fd;
    int tries = 0;

    memset(&how, 0, sizeof how);
    /* Without O_NONBLOCK the open of a FIFO would wait for a writer that may never come. */
    how.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    do {
        /* EAGAIN: a rename raced with the resolution, and the kernel asks for another try. */
        fd = (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && ++tries < MAXIMUM_TRIES)));
    return fd;
}
