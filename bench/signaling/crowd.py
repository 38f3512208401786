"""A process full of clients. It reads orders from standard input, one JSON object per line, and answers each with one.

It knows nothing of servers and processes; what is measured of those is the other side's business.
"""

import asyncio
import gc
import json
import random
import ssl
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Tests/Stacks"))

from sockets import Member, acknowledge_always, connector, frame, join_all  # noqa: E402

OFFER = Path(__file__).resolve().parents[2] / "Tests/SignalingTests/Fixtures/chromium_VP8.offer.sdp"


class Receiver(Member):
    """Reads events as fast as Python can: it counts them, and says now and then how far it is."""

    def count(self):
        self.events = 0
        socket = self.socket
        due = self.acked = self.seq

        def take(data):
            nonlocal due
            socket.received += len(data)
            self.events += data.count(b'{"seq":')
            at = data.rfind(b'{"seq":')
            end = data.find(b",", at) if at >= 0 else -1
            if end > 0:
                self.seq = int(data[at + 7:end])
                if self.seq - due >= 32:
                    due = self.seq
                    socket.write(frame(1, b'{"type":"ack","ack":%d}' % due))
        socket.data_received = take


class Crowd:
    def __init__(self, host, port, tls):
        context = None
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connect = connector(host, port, context)
        self.members = []

    async def join(self, order):
        offer = OFFER.read_text() if order.get("offer") else None
        self.members = [Receiver(room, user, self.connect, offer) for room, user in order["members"]]
        started = time.perf_counter()
        await join_all(self.members, order.get("atOnce", 50), timeout=300)
        asyncio.ensure_future(acknowledge_always(self.members))
        return {"seconds": time.perf_counter() - started}

    async def resume(self, member, since, spread, first=None):
        """As the SDK does it: at once within `spread`, then at random within a window that doubles."""
        await asyncio.sleep(random.uniform(0, spread))
        tries = 0
        while True:
            try:
                await member.join(timeout=300)
                break
            except (OSError, ConnectionError):
                tries += 1
                await asyncio.sleep(random.uniform(0, min(5, 0.25 * 2 ** tries)))
        return {"total": time.perf_counter() - since, "afterOpen": member.live_at - member.opened_at,
                "outcome": member.outcome, "tries": tries}

    async def cut(self, order):
        """All sockets are gone at once, and come back."""
        before = self.bytes()
        since = time.perf_counter()
        for member in self.members:
            member.drop()
        return await self.back(order, since, before)

    async def lost(self, order):
        """Waits until the other side has cut all sockets, and comes back."""
        before = self.bytes()
        while any(member.socket for member in self.members):
            await asyncio.sleep(0.01)
        return await self.back(order, time.perf_counter(), before)

    async def back(self, order, since, before):
        found = await asyncio.gather(*(self.resume(one, since, order.get("spread", 0)) for one in self.members))
        after = self.bytes()
        outcomes = {}
        for one in found:
            outcomes[one["outcome"]] = outcomes.get(one["outcome"], 0) + 1
        return {"total": [one["total"] for one in found], "afterOpen": [one["afterOpen"] for one in found],
                "outcomes": outcomes, "received": after[0] - before[0], "sent": after[1] - before[1],
                "gaps": sum(member.gaps for member in self.members)}

    async def count(self, order):
        for member in self.members:
            member.count()
        return {}

    async def totals(self, order):
        received, sent = self.bytes()
        return {"received": received, "sent": sent, "events": sum(member.events for member in self.members),
                "open": sum(1 for member in self.members if member.socket), "gaps": sum(m.gaps for m in self.members)}

    def bytes(self):
        counts = [member.bytes() for member in self.members]
        return sum(one[0] for one in counts), sum(one[1] for one in counts)


async def main():
    host, port, tls = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "tls"
    crowd = Crowd(host, port, tls)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        if order["do"] == "join":
            # Nothing of what is made here is garbage.
            gc.disable()
        try:
            answer = await getattr(crowd, order["do"])(order)
        except Exception as error:  # noqa: BLE001 - the other side says it
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
