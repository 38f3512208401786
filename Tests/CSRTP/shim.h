// libsrtp2 as it is; its policies and errors need no wrapping.
#ifndef SFU_CSRTP_SHIM_H
#define SFU_CSRTP_SHIM_H

#include <srtp2/srtp.h>

#endif
