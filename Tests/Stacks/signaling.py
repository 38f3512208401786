"""Just enough of a WebSocket client to read a room's roster: one hello, one snapshot."""

import base64
import json
import os
import socket
import struct


def roster(server, room, user="watcher"):
    """The participants that a newcomer is shown."""
    with socket.create_connection((server.addresses[0], server.http_port), timeout=10) as connection:
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall((
            f"GET /v1/rooms/{room}/signal HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: sfu.v1+json\r\n\r\n"
        ).encode())
        stream = connection.makefile("rb")
        assert b"101" in stream.readline()
        while stream.readline() not in (b"\r\n", b""):
            pass
        send(connection, {"type": "hello", "v": "1.0", "data": {"user": {"uid": user, "name": user}}})
        while True:
            message = receive(stream)
            if message["type"] == "snapshot":
                send(connection, {"type": "leave"})
                return message["data"]["participants"]


def send(connection, message):
    body, mask = json.dumps(message).encode(), os.urandom(4)
    length = bytes([0x80 | len(body)]) if len(body) < 126 else struct.pack("!BH", 0x80 | 126, len(body))
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))
    connection.sendall(b"\x81" + length + mask + masked)


def receive(stream):
    """The next text message; a client of one hello gets no fragments."""
    while True:
        opcode, length = stream.read(2)
        length &= 0x7F
        if length == 126:
            length, = struct.unpack("!H", stream.read(2))
        elif length == 127:
            length, = struct.unpack("!Q", stream.read(8))
        body = stream.read(length)
        if opcode & 0x0F == 1:
            return json.loads(body)
