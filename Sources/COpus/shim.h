// libopus as it is; decoding needs none of its variadic calls.
#ifndef SFU_COPUS_SHIM_H
#define SFU_COPUS_SHIM_H

#include <opus.h>

#endif
