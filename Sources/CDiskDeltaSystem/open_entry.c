#define _GNU_SOURCE
#include "CDiskDeltaSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int diskdelta_open_entry(int folder, const char *name, int is_folder)
{
    struct open_how how;
    int fd;

    memset(&how, 0, sizeof how);
    /* Without O_NONBLOCK the open of a FIFO would wait for a writer that may never come. */
    how.flags = O_CLOEXEC | (is_folder ? O_PATH | O_DIRECTORY : O_RDONLY | O_NOCTTY | O_NONBLOCK);
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    do {
        fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

int diskdelta_open_folder(int start, const char *path)
{
    int fd;

    do {
        fd = openat(start, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    return fd;
}
