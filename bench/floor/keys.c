// See keys.h.
#define _GNU_SOURCE
#include "keys.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// "127.0.0.1:40000" or "[::1]:40000".
static bool read_address(const char *text, struct sockaddr_storage *address, socklen_t *bytes) {
    char host[INET6_ADDRSTRLEN] = {0};
    bool is_ipv6 = *text == '[';
    const char *begin = is_ipv6 ? text + 1 : text;
    const char *end = strchr(begin, is_ipv6 ? ']' : ':');
    if (!end || end == begin || (size_t)(end - begin) >= sizeof host) return false;
    memcpy(host, begin, (size_t)(end - begin));
    const char *colon = is_ipv6 ? end + 1 : end;
    if (*colon != ':' || colon[1] < '0' || colon[1] > '9') return false;
    char *rest = NULL;
    unsigned long port = strtoul(colon + 1, &rest, 10);
    if (*rest || port == 0 || port > 65535) return false;
    memset(address, 0, sizeof *address);
    if (is_ipv6) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        *bytes = sizeof *six;
        return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
    }
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    four->sin_family = AF_INET;
    four->sin_port = htons((uint16_t)port);
    *bytes = sizeof *four;
    return inet_pton(AF_INET, host, &four->sin_addr) == 1;
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_key(const char *text, floor_profile profile, uint8_t *key) {
    size_t bytes = FLOOR_KEY_BYTES + floor_salt_bytes(profile);
    if (strlen(text) != 2 * bytes) return false;
    for (size_t i = 0; i < bytes; i++) {
        int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        key[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static const char *read_peer(char *fields[4], const floor_keys *keys, floor_peer *peer) {
    if (!read_address(fields[1], &peer->address, &peer->address_bytes)) return "no address";
    if (peer->address.ss_family != keys->server.ss_family) return "another address family than the server's";
    if (!read_key(fields[2], keys->profile, peer->from_client)) return "first key is of no use for this profile";
    if (!read_key(fields[3], keys->profile, peer->to_client)) return "second key is of no use for this profile";
    return NULL;
}

static const char *read_profile(floor_keys *keys, const char *name) {
    if (strcmp(name, "AEAD_AES_128_GCM") == 0)
        keys->profile = FLOOR_GCM;
    else if (strcmp(name, "SRTP_AES128_CM_SHA1_80") == 0)
        keys->profile = FLOOR_CM;
    else
        return "unknown profile";
    return NULL;
}

/// NULL: understood. Peers need the profile and the server first, so those are read in a pass of their own.
static const char *read_record(floor_keys *keys, char *fields[4], int count, bool reads_peers) {
    const char *name = fields[0];
    bool is_subscriber = strcmp(name, "subscriber") == 0;
    if (is_subscriber || strcmp(name, "publisher") == 0) {
        if (count != 4) return "a peer has an address and two keys";
        if (!reads_peers) return NULL;
        if (!is_subscriber) {
            if (keys->publisher.address_bytes) return "a second publisher";
            return read_peer(fields, keys, &keys->publisher);
        }
        if (keys->subscriber_count == FLOOR_SUBSCRIBERS) return "too many subscribers";
        return read_peer(fields, keys, &keys->subscribers[keys->subscriber_count++]);
    }
    if (count != 2) return "one value is expected";
    if (strcmp(name, "profile") == 0) return reads_peers ? NULL : read_profile(keys, fields[1]);
    if (strcmp(name, "server") == 0)
        return reads_peers || read_address(fields[1], &keys->server, &keys->server_bytes) ? NULL : "no address";
    return "unknown record";
}

static bool read_pass(floor_keys *keys, FILE *file, const char *path, bool reads_peers) {
    char line[FLOOR_LINE_BYTES + 2];
    const char *problem = NULL;
    bool has_version = false;
    int number = 0;
    while (!problem && fgets(line, sizeof line, file)) {
        number++;
        size_t length = strlen(line);
        if (length > FLOOR_LINE_BYTES && line[length - 1] != '\n') {
            problem = "longer than 300 bytes";
            break;
        }
        while (length && (line[length - 1] == '\n' || line[length - 1] == '\r')) line[--length] = 0;
        if (!length || line[0] == '#') continue;
        char *fields[4] = {0}, *rest = NULL;
        int count = 0;
        for (char *field = strtok_r(line, " ", &rest); field; field = strtok_r(NULL, " ", &rest)) {
            if (count == 4) problem = "too many fields";
            if (problem) break;
            fields[count++] = field;
        }
        if (problem || !count) continue;
        bool is_version = strcmp(fields[0], "sfu-keys") == 0;
        if (is_version != !has_version)
            problem = "the file begins with `sfu-keys 1`";
        else if (is_version)
            problem = count == 2 && strcmp(fields[1], "1") == 0 ? NULL : "another version than 1";
        else
            problem = read_record(keys, fields, count, reads_peers);
        has_version = true;
    }
    OPENSSL_cleanse(line, sizeof line);
    if (problem) fprintf(stderr, "%s:%d: %s\n", path, number, problem);
    return !problem;
}

bool floor_keys_read(floor_keys *keys, const char *path) {
    memset(keys, 0, sizeof *keys);
    FILE *file = fopen(path, "r");
    if (!file) {
        perror(path);
        return false;
    }
    keys->subscribers = calloc(FLOOR_SUBSCRIBERS, sizeof *keys->subscribers);
    bool done = keys->subscribers && read_pass(keys, file, path, false);
    const char *missing = !done ? NULL : keys->server_bytes ? NULL : "server";
    if (done && !missing) {
        rewind(file);
        done = read_pass(keys, file, path, true);
        if (done) missing = !keys->publisher.address_bytes ? "publisher" : !keys->subscriber_count ? "subscriber" : NULL;
    }
    fclose(file);
    if (missing) fprintf(stderr, "%s: there is no `%s`\n", path, missing);
    if (done && !missing) return true;
    floor_keys_free(keys);
    return false;
}

void floor_keys_free(floor_keys *keys) {
    if (keys->subscribers) OPENSSL_cleanse(keys->subscribers, FLOOR_SUBSCRIBERS * sizeof *keys->subscribers);
    free(keys->subscribers);
    OPENSSL_cleanse(keys, sizeof *keys);
}
