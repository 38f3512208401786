"""One run: a link, and behind it viewers made with libwebrtc in Python (wrtc) that join by WHEP. A process of its own: reads
a JSON object from standard input, and prints what the link reported and what the viewers saw.

Times are seconds after the link's start."""

import asyncio
import json
import os
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / one) for one in ("Tests/Browser", "Tests/Stacks")]

import webrtc  # noqa: E402

import behind  # noqa: E402
import whip  # noqa: E402
import wrtc_peers  # noqa: E402

# How often the loop looks whether it runs, and by how much it may be late, seconds.
TICK, LATE = 0.02, 0.05


def pictures(read, stalls):
    """(time, height): the time of reading, but after a stall of ours the time that libwebrtc meant, if that is in the stall."""
    if not read:
        return []
    leads = sorted(at - meant for at, _, meant in read)
    lead = leads[len(leads) // 20]
    found, rest = [], iter([*stalls, (float("inf"), float("inf"))])
    begin, end = next(rest)
    for at, height, meant in read:
        while at > end + LATE:
            begin, end = next(rest)
        known = min(at, max(begin, meant + lead)) if at > begin else at
        found.append((round(max(known, found[-1][0] if found else known), 4), height))
    return found


class Viewer:
    def __init__(self, url, link):
        self.url, self.link = url, link
        self.read, self.samples, self.stalls = [], [], []

    def now(self):
        return round(asyncio.get_running_loop().time() - self.link.started, 4)

    async def open(self):
        """Takes no time."""

    async def join(self):
        self.connection = webrtc.RTCPeerConnection()
        tracks = [self.connection.add_transceiver(kind, webrtc.RTCRtpTransceiverInit(direction="recvonly")).receiver.track
                  for kind in ("audio", "video")]
        self.joined = self.now()
        self.location = await wrtc_peers.connect(self.connection, self.url, self.link.lead)
        self.connected = self.now()
        self.tasks = [asyncio.create_task(one) for one in (self._watch(tracks[1]), self._sample(), self._notice_stalls())]

    async def leave(self):
        for one in self.tasks:
            one.cancel()
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        await whip.end_session(self.location)
        self.connection.close()
        trouble = [one for one in ends if isinstance(one, Exception) and not isinstance(one, asyncio.CancelledError)]
        if trouble:
            raise trouble[0]

    async def _watch(self, track):
        """When each picture was read, how high it is, and when libwebrtc meant it to be shown, by a clock of its own."""
        # A reader that comes late on a busy machine shall miss none.
        wanted = webrtc.MediaStreamTrackProcessorInit(track=track, max_buffer_size=60)
        reader = webrtc.MediaStreamTrackProcessor(wanted).readable.get_reader()
        while True:
            frame = (await reader.read()).value
            self.read.append((self.now(), frame.coded_height, frame.timestamp / 1_000_000))
            frame.close()

    async def _notice_stalls(self):
        """A busy machine keeps this process from running; what libwebrtc's threads decode meanwhile is read late."""
        while True:
            before = self.now()
            await asyncio.sleep(TICK)
            if self.now() - before > TICK + LATE:
                self.stalls.append((before, self.now()))

    async def _sample(self):
        step = 0
        while True:
            sample = {"at": self.now()}
            for one in (await self.connection.get_stats()).values():
                if one.type == "inbound-rtp" and one.kind in behind.COUNTED:
                    sample[one.kind] = {name: getattr(one, name, None) or 0 for name in behind.COUNTED[one.kind]}
            self.samples.append(sample)
            step += 1
            await asyncio.sleep(max(0, self.connected + step * behind.INTERVAL - self.now()))

    @property
    def seen(self):
        return {"joined": self.joined, "connected": self.connected, "pictures": pictures(self.read, self.stalls),
                "samples": self.samples, "stalls": self.stalls}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(behind.run(json.load(sys.stdin), Viewer))), flush=True)
    # libwebrtc's threads outlive the interpreter's end otherwise.
    os._exit(0)
