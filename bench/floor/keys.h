// The file by which this program and the load client share keys and addresses: bench/README.md, "Keys from a file".
#ifndef FLOOR_KEYS_H
#define FLOOR_KEYS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "srtp.h"

enum { FLOOR_SUBSCRIBERS = 5000, FLOOR_LINE_BYTES = 300 };

typedef struct {
    struct sockaddr_storage address;
    socklen_t address_bytes;
    /// Master key and salt of what the client sends, and of what it is sent.
    uint8_t from_client[FLOOR_KEY_BYTES + FLOOR_CM_SALT_BYTES];
    uint8_t to_client[FLOOR_KEY_BYTES + FLOOR_CM_SALT_BYTES];
} floor_peer;

typedef struct {
    floor_profile profile;
    struct sockaddr_storage server;
    socklen_t server_bytes;
    floor_peer publisher;
    floor_peer *subscribers;
    int subscriber_count;
} floor_keys;

/// False: what is wrong was said on standard error, with the line's number and without its text, which is secret.
bool floor_keys_read(floor_keys *keys, const char *path);
void floor_keys_free(floor_keys *keys);

#endif
