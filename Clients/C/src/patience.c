#include "patience.h"

#include "clock.h"
#include "memory.h"

/* How long an answer may make no progress, in ms, where the options say nothing. */
enum { DEFAULT_PATIENCE = 30000 };

void dd_patience_init(struct dd_patience *patience, const diskdelta_call_options *given)
{
    diskdelta_call_options options = DISKDELTA_CALL_OPTIONS_INIT;
    /* Where they can't be copied, opening says why. */
    if (given != NULL)
        (void)dd_copy_sized(&options, sizeof options, given);
    *patience = (struct dd_patience){.ms = options.patience_ms == DISKDELTA_OFF ? 0
                                           : options.patience_ms != 0           ? options.patience_ms
                                                                                : DEFAULT_PATIENCE};
}

void dd_patience_renew(struct dd_patience *patience)
{
    patience->failures = 0;
}

bool dd_patience_lasts(struct dd_patience *patience, uint64_t now, uint64_t *until)
{
    if (patience->ms == 0)
        return false;
    if (patience->failures == 0)
        patience->stalled_since = now;
    *until = dd_later(patience->stalled_since, patience->ms);
    return now < *until;
}
