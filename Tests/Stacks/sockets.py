"""Many signaling sockets in one process: frames, hello, resume, acknowledgements, and nothing more of the protocol.

It reads as little of each message as it needs, so that a thousand receivers fit into one core.
"""

import asyncio
import base64
import json
import os
import re
import struct
import time

PAGE = re.compile(rb'"page":(\d+)')
PAGES = re.compile(rb'"of":(\d+)')
# A client may choose any key; this one costs nothing (RFC 6455 §5.3).
NO_MASK = b"\0\0\0\0"
ACK_EVERY = 32


def frame(opcode, payload=b"", fin=True):
    first = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        return first + bytes([0x80 | len(payload)]) + NO_MASK + payload
    if len(payload) < 65_536:
        return first + struct.pack("!BH", 0xFE, len(payload)) + NO_MASK + payload
    return first + struct.pack("!BQ", 0xFF, len(payload)) + NO_MASK + payload


def upgrade(room):
    key = base64.b64encode(os.urandom(16)).decode()
    return (f"GET /v1/rooms/{room}/signal HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: sfu.v1+json\r\n\r\n").encode()


class Socket(asyncio.Protocol):
    """One connection; what comes goes to `owner`: opened(), text(bytes), closed()."""

    def __init__(self, owner, room):
        self.owner, self.room = owner, room
        self.transport = None
        self.buffer = bytearray()
        self.is_open = False
        self.code = None
        self.received = self.sent = 0

    def connection_made(self, transport):
        self.transport = transport
        self.write(upgrade(self.room))

    def connection_lost(self, error):
        self.owner.closed(self)

    def write(self, data):
        self.sent += len(data)
        self.transport.write(data)

    def data_received(self, data):
        self.received += len(data)
        self.buffer += data
        if not self.is_open:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if b" 101 " not in self.buffer[:16]:
                self.transport.abort()
                return
            del self.buffer[:end + 4]
            self.is_open = True
            self.owner.opened(self)
        self._frames()

    def _frames(self):
        buffer, start = self.buffer, 0
        while len(buffer) - start >= 2:
            length, head = buffer[start + 1], 2
            if length == 126:
                if len(buffer) - start < 4:
                    break
                length, head = struct.unpack_from("!H", buffer, start + 2)[0], 4
            elif length == 127:
                if len(buffer) - start < 10:
                    break
                length, head = struct.unpack_from("!Q", buffer, start + 2)[0], 10
            if len(buffer) - start < head + length:
                break
            opcode, at = buffer[start] & 0x0F, start + head
            start = at + length
            if opcode == 1:
                self.owner.text(self, bytes(buffer[at:start]))
            elif opcode == 9:
                self.write(frame(10, bytes(buffer[at:start])))
            elif opcode == 8:
                self.code = struct.unpack_from("!H", buffer, at)[0] if length >= 2 else 1005
                self.write(frame(8, bytes(buffer[at:at + min(length, 2)])))
        del buffer[:start]

    def send(self, message):
        self.write(frame(1, json.dumps(message, separators=(",", ":")).encode()))

    def abort(self):
        """As a network that goes away: nothing is said."""
        if self.transport:
            self.transport.abort()


class Member:
    """A participant and its session, over as many sockets as it takes."""

    def __init__(self, room, user, connect, offer=None):
        self.room, self.user, self.connect, self.offer = room, user, connect, offer
        self.socket = None
        self.token, self.attempt, self.seq, self.acked = None, 0, 0, 0
        self.up_to = None
        self.request = 0
        self.outcome, self.live = None, None
        self.opened_at = self.live_at = None
        self.events = 0
        self.gaps = 0
        self.codes = []
        self.received = self.sent = 0
        self.on_event = None
        self.answers = {}

    async def join(self, timeout=30):
        """A new socket; returns when the room is known, or raises where the server says no."""
        self.outcome, self.opened_at, self.up_to = None, None, None
        self.live = asyncio.get_running_loop().create_future()
        await asyncio.wait_for(self.connect(lambda: Socket(self, self.room)), timeout)
        await asyncio.wait_for(self.live, timeout)
        return self

    def drop(self):
        if self.socket:
            self.socket.abort()

    # MARK: of its socket

    def opened(self, socket):
        self.socket = socket
        self.opened_at = time.perf_counter()
        data = {"device": {"did": self.user, "kind": "test"}, "caps": ["batch"]}
        if self.token:
            self.attempt += 1
            data["resume"] = {"token": self.token, "attempt": self.attempt, "lastSeq": self.seq}
        else:
            data["user"] = {"uid": self.user, "name": self.user}
            if self.offer:
                data["pc"] = {"gen": 1, "offerId": 1, "sdp": self.offer, "tracks": []}
        socket.send({"type": "hello", "v": "1.0", "data": data})

    def closed(self, socket):
        self.received += socket.received
        self.sent += socket.sent
        if socket.code:
            self.codes.append(socket.code)
        if socket is self.socket:
            self.socket = None
        if self.live and not self.live.done():
            self.live.set_exception(ConnectionError(f"{self.user}: closed with {socket.code} before it was live"))

    def text(self, socket, text):
        for line in text.split(b"\n"):
            if line.startswith(b'{"seq":'):
                self._event(int(line[7:line.index(b",", 7)]), line)
            elif line.startswith(b'{"re":'):
                self._answer(json.loads(line))
            elif self.outcome is None and b'"type":"welcome"' in line[:40]:
                self._welcome(json.loads(line)["data"])
            elif b'"type":"replayed"' in line[:40]:
                self._is_live()
            elif self.on_event:
                self.on_event(self, line)
        if self.seq - self.acked >= ACK_EVERY:
            self.acknowledge()

    # MARK: parts

    def _welcome(self, data):
        self.outcome = data["outcome"]
        self.token = data["resume"]["token"]
        if self.outcome == "replay":
            self.up_to = data["upTo"]
        else:
            self.seq = self.acked = data["seq"]
        if self.outcome in ("fresh", "rejoin"):
            self.request = 0

    def _event(self, seq, line):
        # States that newer ones have replaced leave gaps in a replay, and only there.
        if seq != self.seq + 1 and not (self.up_to and seq <= self.up_to):
            self.gaps += 1
        self.seq = seq
        self.events += 1
        if not self.live.done() and (b'"type":"snapshot"' in line[:60] or b'"type":"delta"' in line[:60]):
            if PAGE.search(line)[1] == PAGES.search(line)[1]:
                self._is_live()
        if self.on_event:
            self.on_event(self, line)

    def _is_live(self):
        if not self.live.done():
            self.live_at = time.perf_counter()
            self.acknowledge()
            self.live.set_result(self)

    def _answer(self, envelope):
        answer = self.answers.pop(envelope["re"], None)
        if answer and not answer.done():
            answer.set_result(envelope)

    def acknowledge(self):
        if self.socket and self.seq > self.acked:
            self.acked = self.seq
            self.socket.write(frame(1, b'{"type":"ack","ack":%d}' % self.seq))

    async def ask(self, kind, data, timeout=30):
        """A request and its answer, which has to be none of failure."""
        self.request += 1
        answer = self.answers[self.request] = asyncio.get_running_loop().create_future()
        self.socket.send({"type": kind, "id": self.request, "ack": self.seq, "data": data})
        self.acked = self.seq
        envelope = await asyncio.wait_for(answer, timeout)
        assert "error" not in envelope, f"{kind}: {envelope['error']}"
        return envelope["data"]

    def bytes(self):
        """Received and sent, over all sockets."""
        socket = self.socket
        return (self.received + (socket.received if socket else 0), self.sent + (socket.sent if socket else 0))


def connector(host, port, tls=None):
    """What makes connections; `tls` is a context that asks for no certificate it knows."""
    async def connect(factory):
        return await asyncio.get_running_loop().create_connection(
            factory, host, port, ssl=tls, server_hostname="localhost" if tls else None)
    return connect


async def join_all(members, at_once=100, timeout=60):
    """So many at a time, as a machine with one page for each of them could not do better."""
    gate = asyncio.Semaphore(at_once)

    async def one(member):
        async with gate:
            await member.join(timeout)
    await asyncio.gather(*(one(member) for member in members))


async def acknowledge_always(members, every=2.0):
    """What few events leave unacknowledged; run it as a task."""
    while True:
        for member in members:
            member.acknowledge()
        await asyncio.sleep(every)
