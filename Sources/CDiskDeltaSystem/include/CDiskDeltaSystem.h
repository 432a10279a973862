#pragma once

/* System calls that Swift cannot make by itself: they take structures or constants that the C library hides from it. */

/* Opens the entry `name` of an open folder: a regular file for reading, or with `is_folder` a folder to look names up
 * in.
 *
 * `name` is one part of a path. A symbolic link is not followed: it fails with ELOOP.
 *
 * Returns the descriptor, or -1 with errno set. */
int diskdelta_open_entry(int folder, const char *name, int is_folder);

/* Opens the folder at `path`, to look names up in. A path that is not absolute begins at the folder `start`, or
 * AT_FDCWD.
 *
 * Returns the descriptor, or -1 with errno set. */
int diskdelta_open_folder(int start, const char *path);

/* Who has a file open for writing, at the moment of the call. */
enum diskdelta_writers {
    DISKDELTA_WRITERS_NONE,
    DISKDELTA_WRITERS_SOME,
    /* The system does not tell: the caller neither owns the file nor has CAP_LEASE, or the file system has no leases.
     */
    DISKDELTA_WRITERS_UNKNOWN,
};

/* Looks whether anybody on this machine has a file open for writing, or mapped in memory so that it can be written.
 *
 * `file` is a descriptor that is open for reading only. Nothing is held when the call returns; a program that opens the
 * file for writing in that moment waits for some microseconds. */
enum diskdelta_writers diskdelta_look_for_writers(int file);

/* Whether a file system tells by its leases who on this machine writes, and notes the time of every change. */
enum diskdelta_file_system {
    /* It may be written by other machines, or is not known here. */
    DISKDELTA_FILE_SYSTEM_OTHER,
    /* Leases tell of every writer, and no change leaves a file's times alone. */
    DISKDELTA_FILE_SYSTEM_EXACT,
    /* Leases tell of every writer, but stores to a file that is mapped in memory may leave its times alone. */
    DISKDELTA_FILE_SYSTEM_IN_MEMORY,
};

enum diskdelta_file_system diskdelta_file_system(int file);
