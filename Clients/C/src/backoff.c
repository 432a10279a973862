#include "backoff.h"

enum { FIRST = 100, MOST = 120000 };

uint32_t dd_backoff(unsigned failures, uint32_t random)
{
    uint64_t wait = FIRST;
    for (unsigned i = 1; i < failures && wait < MOST; i++)
        wait = wait * 8 / 5;
    if (wait > MOST)
        wait = MOST;
    /* From 80 % to 120 %. */
    uint64_t fifth = wait / 5;
    return (uint32_t)(wait - fifth + (2 * fifth * random) / UINT32_MAX);
}

uint32_t dd_random(uint64_t *state)
{
    /* SplitMix64. */
    *state += 0x9e3779b97f4a7c15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) >> 32);
}
