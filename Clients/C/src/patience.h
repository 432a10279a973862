/* How long a range answer that breaks off is asked for again. */
#ifndef DD_PATIENCE_H
#define DD_PATIENCE_H

#include <diskdelta.h>

struct dd_patience {
    /* How long to go on without progress, in ms; 0: an answer that breaks off is not resumed. */
    uint32_t ms;
    /* How often in a row the answer broke off without progress, and since when it makes none. */
    unsigned failures;
    uint64_t stalled_since;
};

/* As the options of the call say; they may be NULL, or malformed: then the default holds. */
void dd_patience_init(struct dd_patience *patience, const diskdelta_call_options *options);

/* The answer made progress. */
void dd_patience_renew(struct dd_patience *patience);

/* The answer has broken off: whether it is asked for again, and `until` when without progress. */
bool dd_patience_lasts(struct dd_patience *patience, uint64_t now, uint64_t *until);

#endif
