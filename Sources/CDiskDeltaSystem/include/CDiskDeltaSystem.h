/* System calls that the Swift overlay of the C library does not offer. */
#pragma once

#include <stdint.h>

/*
 * openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS: opens `path`, which is relative to the directory
 * `directory`, read-only and close-on-exec, and fails with EXDEV where any part of it, a symbolic link included, leads
 * outside that directory. Returns a descriptor, or -1 with errno set; EAGAIN where renames kept racing with it.
 */
int diskdelta_open_beneath(int directory, const char *path);
