"""A narrow uplink: a UDP relay in front of the server for one client. What the client sends passes at a rate, behind a queue of
a fraction of a second that drops what finds it full. It knows payload types, and not what is in a packet."""

import asyncio
import collections
import re

HEADERS = 28  # IP and UDP
QUEUE_SECONDS = 0.3


class Tally:
    """Packets of one kind that came to the link, and those that it dropped; bits that left it."""

    def __init__(self):
        self.offered = self.dropped = self.bits = 0

    @property
    def loss(self):
        return self.dropped / self.offered if self.offered else 0


class NarrowUplink:
    def __init__(self, server):
        self.server = ("127.0.0.1", server.media_port)
        self.rate = None
        self.kinds = {}
        self.client = self.port = None
        self.queue, self.queued, self.free_at = collections.deque(), 0, 0
        self.count()

    def count(self):
        """Begins to count anew."""
        self.tallies = collections.defaultdict(Tally)

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        relay = self

        class Near(asyncio.DatagramProtocol):
            def datagram_received(self, data, address):
                relay.client = address
                relay.offer(data)

        class Far(asyncio.DatagramProtocol):
            def datagram_received(self, data, _):
                if relay.client:
                    relay.near.sendto(data, relay.client)

        self.near, _ = await self.loop.create_datagram_endpoint(Near, local_addr=("127.0.0.1", 0))
        self.far, _ = await self.loop.create_datagram_endpoint(Far, remote_addr=self.server)
        self.port = self.near.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_):
        self.near.close()
        self.far.close()

    async def rewritten(self, answer):
        """The answer with this relay as the one way to the server."""
        for kind, types in re.findall(r"^m=(\w+) \d+ \S+ ([\d ]+)", answer, re.MULTILINE):
            self.kinds |= {int(one): kind for one in types.split()}
        lines, is_first = [], True
        for line in answer.splitlines():
            if line.startswith("a=candidate:"):
                fields = line.split()
                if fields[2].lower() != "udp" or not is_first:
                    continue
                is_first = False
                fields[4:6] = "127.0.0.1", str(self.port)
                line = " ".join(fields)
            lines.append(line)
        return "\r\n".join(lines) + "\r\n"

    def kind(self, data):
        if len(data) < 12 or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F < 96:
            return "control"
        return self.kinds.get(data[1] & 0x7F, "control")

    def offer(self, data):
        tally, bits = self.tallies[self.kind(data)], (len(data) + HEADERS) * 8
        tally.offered += 1
        if self.rate is None and not self.queue:
            tally.bits += bits
            self.far.sendto(data)
            return
        rate = self.rate or 100_000_000
        if self.queued + bits > rate * QUEUE_SECONDS:
            tally.dropped += 1
            return
        self.queued += bits
        self.queue.append((data, bits, tally))
        if len(self.queue) == 1:
            self.free_at = max(self.free_at, self.loop.time()) + bits / rate
            self.loop.call_at(self.free_at, self.leave)

    def leave(self):
        data, bits, tally = self.queue.popleft()
        self.queued -= bits
        tally.bits += bits
        if not self.far.is_closing():
            self.far.sendto(data)
        if self.queue:
            self.free_at += self.queue[0][1] / (self.rate or 100_000_000)
            self.loop.call_at(self.free_at, self.leave)
