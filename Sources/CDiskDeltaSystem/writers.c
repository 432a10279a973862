#define _GNU_SOURCE
#include "CDiskDeltaSystem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <signal.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

/* <linux/magic.h> of older kernels does not have it. */
#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

/* A read lease is granted only on a file that nobody has open for writing (fcntl(2), "Leases"), so asking for one
 * tells. It is given back at once: who opens the file for writing meanwhile waits until then. */
static enum diskdelta_writers ask_for_lease(int file)
{
    if (fcntl(file, F_SETLEASE, F_RDLCK) != 0)
        return errno == EAGAIN ? DISKDELTA_WRITERS_SOME : DISKDELTA_WRITERS_UNKNOWN;
    (void)fcntl(file, F_SETLEASE, F_UNLCK);
    return DISKDELTA_WRITERS_NONE;
}

enum diskdelta_writers diskdelta_look_for_writers(int file)
{
    static const struct timespec no_time = {0, 0};
    struct f_owner_ex this_thread = {F_OWNER_TID, gettid()};
    enum diskdelta_writers writers;
    sigset_t broken;
    sigset_t before;

    /* To the holder of a lease that somebody waits for the kernel sends SIGIO, which ends a process that does not
     * expect it. So this thread is made the one that gets it, and takes it away before anybody sees it. */
    sigemptyset(&broken);
    sigaddset(&broken, SIGIO);
    if (pthread_sigmask(SIG_BLOCK, &broken, &before) != 0)
        return DISKDELTA_WRITERS_UNKNOWN;
    writers = fcntl(file, F_SETOWN_EX, &this_thread) == 0 ? ask_for_lease(file) : DISKDELTA_WRITERS_UNKNOWN;
    while (sigtimedwait(&broken, NULL, &no_time) > 0 || errno == EINTR)
        continue;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return writers;
}

enum diskdelta_file_system diskdelta_file_system(int file)
{
    struct statfs status;

    if (fstatfs(file, &status) != 0)
        return DISKDELTA_FILE_SYSTEM_OTHER;
    switch (status.f_type) {
    case EXT4_SUPER_MAGIC:
    case XFS_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
        return DISKDELTA_FILE_SYSTEM_EXACT;
    case TMPFS_MAGIC:
        return DISKDELTA_FILE_SYSTEM_IN_MEMORY;
    default:
        return DISKDELTA_FILE_SYSTEM_OTHER;
    }
}
