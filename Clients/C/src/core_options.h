/* What a connection announces. */
#ifndef DD_CORE_OPTIONS_H
#define DD_CORE_OPTIONS_H

#include <diskdelta/core.h>

/* Whether a connection can be made with them. */
bool dd_core_options_are_valid(const diskdelta_core_options *options);

#endif
