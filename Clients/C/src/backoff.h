/* How long a client waits before it connects again (P-94). */
#ifndef DD_BACKOFF_H
#define DD_BACKOFF_H

#include <stdint.h>

/*
 * The ms to wait after so many failures in a row, at least 1: 100 after the first, then each time 1.6 times as long, at
 * most 120000; varied by up to 20 % in either direction, as `random` says, any number of 32 bits.
 */
uint32_t dd_backoff(unsigned failures, uint32_t random);

/* The next number of a series of 32 bits each that its seed alone determines. */
uint32_t dd_random(uint64_t *state);

#endif
