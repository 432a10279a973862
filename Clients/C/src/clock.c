#include "clock.h"

#include <limits.h>
#include <time.h>

uint64_t dd_now(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

int dd_until(uint64_t time)
{
    if (time == DD_NEVER)
        return -1;
    uint64_t now = dd_now();
    if (time <= now)
        return 0;
    return time - now > INT_MAX ? INT_MAX : (int)(time - now);
}

uint64_t dd_later(uint64_t time, uint64_t ms)
{
    return time > DD_NEVER - ms ? DD_NEVER : time + ms;
}
