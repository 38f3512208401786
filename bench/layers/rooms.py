"""Many viewers without a browser: libwebrtc in Python (wrtc) watches a room by `sfu.v1+json` and changes its tiles, while
one wrtc sender publishes three VP8 layers by WHIP. Started by __main__ as a process of its own: prints one JSON object.
"""

import asyncio
import json
import os
import random
import sys
import time
from pathlib import Path
from types import SimpleNamespace

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / one) for one in ("Tests/Browser", "Tests/Stacks")]

import numpy  # noqa: E402
import webrtc  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

import wrtc_peers  # noqa: E402

# Smaller pictures get fewer layers of libwebrtc.
WIDTH, HEIGHT, FPS = 960, 540, 20
ROOM = "layers"
# Key frames for one viewer are key frames for all who watch the same layer: changes that follow each other closely would
# measure the sender's rate control.
DWELL = 3
COUNTED = ("freeze_count", "total_freezes_duration", "frames_decoded", "frames_dropped", "key_frames_decoded", "pli_count",
           "fir_count", "nack_count", "packets_received", "packets_lost", "retransmitted_packets_received")


def camel(name):
    first, *rest = name.split("_")
    return first + "".join(one.capitalize() for one in rest)


class Source(wrtc_peers.Source):
    """Much detail that drifts: key frames as large as a camera's."""

    async def _draw(self):
        writer = self.video.writable.get_writer()
        width, height = self.size
        noise = numpy.random.default_rng(1).integers(70, 170, (height // 24 + 2, width // 24 + 2), numpy.uint8)
        luma = noise.repeat(24, axis=0).repeat(24, axis=1)
        chroma = numpy.full(width * height // 2, 128, numpy.uint8).tobytes()
        async for step in self._pace(1 / self.fps):
            x, y = abs(step % 48 - 24), abs(step // 2 % 48 - 24)
            frame = luma[y:y + height, x:x + width].tobytes() + chroma
            await writer.write(webrtc.VideoFrame(frame, webrtc.VideoFrameBufferInit(
                format="I420", coded_width=width, coded_height=height, timestamp=step * 1_000_000 // self.fps)))


class Signal:
    """The socket of one participant: requests, acknowledgements, and the tracks that are in the room."""

    def __init__(self, url, who):
        self.url = f"{url.replace('http', 'ws', 1)}/v1/rooms/{ROOM}/signal"
        self.who = who
        self.tracks, self.waiting, self.seq, self.id = {}, {}, 0, 0

    async def __aenter__(self):
        self.socket = await connect(self.url, subprotocols=["sfu.v1+json"], max_size=None)
        await self._send({"type": "hello", "v": "1.0", "data": {
            "user": {"uid": self.who, "name": self.who}, "device": {"did": self.who, "kind": "web"}}})
        self.reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_):
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)
        await self.socket.close()

    async def _send(self, envelope):
        await self.socket.send(json.dumps(envelope))

    async def _read(self):
        async for text in self.socket:
            for line in filter(str.strip, text.split("\n")):
                await self._take(json.loads(line))

    async def _take(self, envelope):
        if "re" in envelope:
            self.waiting.pop(envelope["re"]).set_result(envelope)
            return
        data = envelope.get("data", {})
        for one in [*data.get("participants", ()), *data.get("joined", ()), *data.get("updated", ())]:
            for track in one.get("tracks", ()):
                self.tracks[track["tid"]] = track
        if "seq" in envelope:
            self.seq = envelope["seq"]
            await self._send({"type": "ack", "ack": self.seq})

    async def request(self, kind, data):
        self.id += 1
        answer = self.waiting[self.id] = asyncio.get_running_loop().create_future()
        await self._send({"type": kind, "id": self.id, "ack": self.seq, "data": data})
        envelope = await asyncio.wait_for(answer, 20)
        if "error" in envelope:
            raise RuntimeError(f"{kind}: {envelope['error']}")
        return envelope["data"]

    async def camera(self):
        for _ in range(200):
            for tid, track in self.tracks.items():
                if track["kind"] == "video":
                    return tid
            await asyncio.sleep(0.05)
        raise RuntimeError("there is no camera in the room")


class Viewer:
    def __init__(self, url, number):
        self.signal = Signal(url, f"viewer-{number}")
        self.width, self.listeners = 0, []
        self.samples = {"larger": [], "smaller": []}

    async def __aenter__(self):
        await self.signal.__aenter__()
        self.connection = webrtc.RTCPeerConnection()
        transceiver = self.connection.add_transceiver("video", webrtc.RTCRtpTransceiverInit(direction="recvonly"))
        await self.connection.set_local_description(await self.connection.create_offer())
        while self.connection.ice_gathering_state != "complete":
            await asyncio.sleep(0.02)
        answer = await self.signal.request("pc.offer", {
            "gen": 1, "offerId": 1, "sdp": self.connection.local_description.sdp, "tracks": []})
        await self.connection.set_remote_description(webrtc.RTCSessionDescriptionInit(type="answer", sdp=answer["answer"]))
        self.tid = await self.signal.camera()
        self.reader = asyncio.create_task(self._read(transceiver.receiver.track))
        return self

    async def __aexit__(self, *_):
        self.reader.cancel()
        await asyncio.gather(self.reader, return_exceptions=True)
        await self.signal.__aexit__()
        self.connection.close()

    async def _read(self, track):
        processor = webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track=track))
        reader = processor.readable.get_reader()
        while True:
            frame = (await reader.read()).value
            self.width = frame.coded_width
            frame.close()
            for wants, done in self.listeners:
                if wants(self.width) and not done.done():
                    done.set_result(time.monotonic())

    async def resize(self, width, height, wants, seconds=10):
        """Milliseconds from the request to the first frame that `wants` takes; None if none came."""
        done = asyncio.get_running_loop().create_future()
        self.listeners.append((wants, done))
        started = time.monotonic()
        try:
            await self.signal.request("view.update", {"tiles": [
                {"tid": self.tid, "w": width, "h": height, "visible": True, "priority": 100}]})
            return (await asyncio.wait_for(done, seconds) - started) * 1000
        except TimeoutError:
            return None
        finally:
            self.listeners.remove((wants, done))

    def large(self, seconds=10):
        return self.resize(WIDTH, HEIGHT, lambda width: width >= WIDTH * 7 // 10, seconds)

    def small(self):
        return self.resize(WIDTH // 4, HEIGHT // 4, lambda width: width <= WIDTH * 3 // 10)

    async def switch(self, rounds):
        for _ in range(rounds):
            self.samples["smaller"].append(await self.small())
            await asyncio.sleep(DWELL + 2 * random.random())
            self.samples["larger"].append(await self.large())
            await asyncio.sleep(DWELL + 2 * random.random())

    async def received(self):
        found = dict.fromkeys(map(camel, COUNTED), 0)
        for one in (await self.connection.get_stats()).values():
            if one.type == "inbound-rtp" and one.kind == "video":
                for name in COUNTED:
                    found[camel(name)] += getattr(one, name) or 0
        return found


async def counted(viewers, work):
    def total(all_of):
        return {name: sum(one[name] for one in all_of) for name in all_of[0]}
    started = time.monotonic()
    before = total(await asyncio.gather(*(one.received() for one in viewers)))
    await work
    after = total(await asyncio.gather(*(one.received() for one in viewers)))
    spent = time.monotonic() - started
    rest = {name: after[name] - before[name] for name in after}
    return {"seconds": round(spent, 1), "fps": rest["framesDecoded"] / spent / len(viewers), **rest}


async def measure(url, count, rounds, calm):
    outcome = {"sender": "wrtc", "title": f"libwebrtc in Python, VP8 simulcast, {count} viewers", "size": [WIDTH, HEIGHT, FPS],
               "mode": "", "dynacast": False, "codec": "VP8"}
    picture = ((0, 0, 0), 500, WIDTH, HEIGHT, FPS)
    sender = wrtc_peers.Publisher(SimpleNamespace(url=url), ROOM, "sender", *picture, rids=("q", "h", "f"))
    sender.source = Source(*picture)
    viewers = [Viewer(url, number) for number in range(count)]
    async with sender:
        for viewer in viewers:
            await viewer.__aenter__()
        first = await asyncio.gather(*(viewer.large(40) for viewer in viewers))
        if None in first:
            return {**outcome, "failed": "the largest layer did not come"}
        await asyncio.sleep(3)
        outcome["calm"] = await counted(viewers, asyncio.sleep(calm))
        outcome["switching"] = await counted(viewers, asyncio.wait_for(
            asyncio.gather(*(viewer.switch(rounds) for viewer in viewers)), 60 + rounds * 40))
        outcome["samples"] = {
            name: [one for viewer in viewers for one in viewer.samples[name]] for name in ("larger", "smaller")}
        outcome["samples"] |= {"told": [], "off": [], "shown": [], "stopped": []}
        for viewer in viewers:
            await viewer.__aexit__()
    return outcome


def main():
    url, viewers, rounds, calm = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    print(json.dumps(asyncio.run(measure(url, viewers, rounds, calm))), flush=True)
    # libwebrtc's threads outlive the interpreter's end otherwise.
    os._exit(0)


if __name__ == "__main__":
    main()
