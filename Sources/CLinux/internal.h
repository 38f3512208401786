// Shared by the .c files of this target; not seen by Swift.
#ifndef CLINUX_INTERNAL_H
#define CLINUX_INTERNAL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "CLinux.h"

socklen_t clinux_to_sockaddr(const clinux_address *address, struct sockaddr_storage *storage);
void clinux_from_sockaddr(const struct sockaddr *from, clinux_address *address);
void clinux_from_in6(const struct in6_addr *from, clinux_address *address);
void clinux_to_in6(const clinux_address *address, struct in6_addr *to);

#endif
