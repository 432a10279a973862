/* Time, as the layers above the core use it. */
#ifndef DD_CLOCK_H
#define DD_CLOCK_H

#include <stdint.h>

/* A time that never comes. */
#define DD_NEVER UINT64_MAX

/* Now, in ms of a clock that only goes forward. */
uint64_t dd_now(void);

/* The ms until a time, as poll(2) takes them: at least 0; -1 for DD_NEVER. */
int dd_until(uint64_t time);

/* `time` and `ms` later; DD_NEVER stays. */
uint64_t dd_later(uint64_t time, uint64_t ms);

#endif
