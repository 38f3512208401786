"""SRTP for tests, on `cryptography` alone: neither libsrtp nor the server's code. Knows no sockets."""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

GCM = "AEAD_AES_128_GCM"
CM = "SRTP_AES128_CM_SHA1_80"
SALT_BYTES = {GCM: 12, CM: 14}


def _counter(key, iv, data):
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


class SRTP:
    """One master key (key || salt). Protects and unprotects RTP whose index the caller knows."""

    def __init__(self, profile, master):
        self.profile = profile
        key, salt = master[:16], master[16:]
        assert len(salt) == SALT_BYTES[profile]

        def derive(label, length):
            iv = bytearray(salt.ljust(16, b"\0"))
            iv[7] ^= label
            return _counter(key, bytes(iv), bytes(length))

        self.key, self.auth, self.salt = derive(0, 16), derive(1, 20), derive(2, len(salt))

    def _iv(self, ssrc, index):
        if self.profile == GCM:
            mask, width = struct.pack(">HIHI", 0, ssrc, index >> 32, index & 0xFFFFFFFF), 12
        else:
            mask, width = struct.pack(">IIHIH", 0, ssrc, index >> 32, index & 0xFFFFFFFF, 0), 16
        return bytes(a ^ b for a, b in zip(self.salt.ljust(width, b"\0"), mask))

    def _tag(self, packet, index):
        return hmac.new(self.auth, packet + struct.pack(">I", index >> 16), hashlib.sha1).digest()[:10]

    def protect(self, packet, index):
        header, ssrc = header_length(packet), struct.unpack_from(">I", packet, 8)[0]
        iv = self._iv(ssrc, index)
        if self.profile == GCM:
            return packet[:header] + AESGCM(self.key).encrypt(iv, packet[header:], packet[:header])
        sealed = packet[:header] + _counter(self.key, iv, packet[header:])
        return sealed + self._tag(sealed, index)

    def unprotect(self, packet, index):
        """Raises where the packet is not authentic."""
        header, ssrc = header_length(packet), struct.unpack_from(">I", packet, 8)[0]
        iv = self._iv(ssrc, index)
        if self.profile == GCM:
            return packet[:header] + AESGCM(self.key).decrypt(iv, packet[header:], packet[:header])
        sealed, tag = packet[:-10], packet[-10:]
        if not hmac.compare_digest(tag, self._tag(sealed, index)):
            raise ValueError("not authentic")
        return sealed[:header] + _counter(self.key, iv, sealed[header:])


def header_length(packet):
    length = 12 + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        length += 4 + 4 * struct.unpack_from(">H", packet, length + 2)[0]
    return length


def rtp(sequence, timestamp, ssrc, payload, payload_type=111, marker=False, extension=b""):
    """`extension`: content of a one-byte header extension, whole words."""
    first = 0x90 if extension else 0x80
    packet = struct.pack(
        ">BBHII", first, payload_type | marker << 7, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
    )
    if extension:
        packet += struct.pack(">HH", 0xBEDE, len(extension) // 4) + extension
    return packet + payload
