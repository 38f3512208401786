"""A camera and a microphone: libwebrtc in Python (wrtc) publishes three VP8 layers and Opus by WHIP. A process of its own:
says when all layers have their rates, and each second what they are; ends with its standard input.

    publisher.py URL-OF-WHIP
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / one) for one in ("Tests/Browser", "Tests/Stacks")]

import numpy  # noqa: E402
import webrtc  # noqa: E402

import whip  # noqa: E402
import wrtc_peers  # noqa: E402

WIDTH, HEIGHT, FPS = 1280, 720, 30
# By rid: bit/s, and how much smaller than the camera. The largest first: Janus knows layers by their order in the offer.
LAYERS = {"f": (1_700_000, 1), "h": (450_000, 2), "q": (150_000, 4)}
LOOP_SECONDS = 4
# A small layer leaves out pictures now and then, whatever there is room for.
READY_BITS, READY_FPS = 0.9, 0.75


def texture(random, height, width):
    """Detail of several sizes, as leaves, cloth and faces have."""
    total = numpy.full((height, width), 128.0)
    for size, strength in ((32, 30), (12, 20), (4, 12)):
        blocks = random.normal(0, strength, (height // size + 2, width // size + 2))
        total += blocks.repeat(size, axis=0).repeat(size, axis=1)[:height, :width]
    return total


def pictures(width, height, count):
    """`count` pictures that begin anew without a jump: a background that pans, somebody in front who moves on his own, and a
    camera's noise, which costs bits however well the rest is foretold."""
    random = numpy.random.default_rng(1)
    swing = 64
    behind = texture(random, height + 2 * swing, width + 2 * swing)
    front = texture(random, height * 3 // 5, width // 3)
    noise = random.normal(0, 5, (height + 64, width + 64))
    chroma = numpy.concatenate([
        numpy.linspace(110, 146, width // 2 * (height // 2)), numpy.linspace(146, 110, width // 2 * (height // 2)),
    ]).astype(numpy.uint8).tobytes()
    for step in range(count):
        angle = 2 * numpy.pi * step / count
        x, y = (round(swing + swing * one) for one in (numpy.sin(angle), numpy.sin(2 * angle) / 2))
        luma = behind[y:y + height, x:x + width].copy()
        left = round(width / 3 + width / 6 * numpy.sin(3 * angle))
        top = round(height / 5 + height / 8 * numpy.cos(2 * angle))
        luma[top:top + front.shape[0], left:left + front.shape[1]] = front
        grain_y, grain_x = random.integers(0, 64, 2)
        luma += noise[grain_y:grain_y + height, grain_x:grain_x + width]
        yield numpy.clip(luma, 16, 235).astype(numpy.uint8).tobytes() + chroma


class Source(wrtc_peers.Source):
    def __init__(self):
        super().__init__((0, 0, 0), 440, WIDTH, HEIGHT, FPS)
        self.pictures = list(pictures(WIDTH, HEIGHT, LOOP_SECONDS * FPS))

    async def _draw(self):
        writer = self.video.writable.get_writer()
        async for step in self._pace(1 / FPS):
            await writer.write(webrtc.VideoFrame(
                self.pictures[step % len(self.pictures)],
                webrtc.VideoFrameBufferInit(
                    format="I420", coded_width=WIDTH, coded_height=HEIGHT, timestamp=step * 1_000_000 // FPS)))


class Publisher:
    def __init__(self, url):
        self.url, self.source = url, Source()

    async def __aenter__(self):
        self.connection = webrtc.RTCPeerConnection()
        once = webrtc.RTCRtpTransceiverInit(direction="sendonly")
        self.connection.add_transceiver(self.source.audio, once)
        encodings = [
            webrtc.RTCRtpEncodingParameters(
                rid=rid, max_bitrate=rate, scale_resolution_down_by=scale, scalability_mode="L1T3")
            for rid, (rate, scale) in LAYERS.items()]
        self.connection.add_transceiver(
            self.source.video, webrtc.RTCRtpTransceiverInit(direction="sendonly", send_encodings=encodings))
        self.location = await wrtc_peers.connect(self.connection, self.url)
        self.running = asyncio.create_task(self.source.run())
        return self

    async def __aexit__(self, *_):
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await whip.end_session(self.location)
        self.connection.close()

    async def sent(self):
        """By rid: when, bytes of payload, pictures, key frames, and whether something held it back."""
        found = {}
        for one in (await self.connection.get_stats()).values():
            if one.type == "outbound-rtp" and one.kind == "video":
                found[one.rid] = (
                    time.monotonic(), one.bytes_sent, one.frames_encoded, one.key_frames_encoded, one.quality_limitation_reason)
        return found


def say(what):
    print(json.dumps(what), flush=True)


async def publish(url):
    ending = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, lambda: os.read(0, 1) or ending.set())
    async with Publisher(url) as publisher:
        before, is_ready = await publisher.sent(), False
        while not ending.is_set():
            try:
                await asyncio.wait_for(ending.wait(), 1)
            except TimeoutError:
                pass
            now = await publisher.sent()
            layers = {}
            for rid, (at, sent, pictures_, keys, limit) in now.items():
                if rid not in before:
                    continue
                then = before[rid]
                seconds = at - then[0]
                layers[rid] = {
                    "bits": round((sent - then[1]) * 8 / seconds), "fps": round((pictures_ - then[2]) / seconds, 1),
                    "keys": keys - then[3], "limit": str(limit)}
            before = now
            full = len(layers) == len(LAYERS) and all(
                one["bits"] >= READY_BITS * LAYERS[rid][0] and one["fps"] >= READY_FPS * FPS for rid, one in layers.items())
            if full and not is_ready:
                is_ready = True
                say({"ready": layers})
            say({"at": time.monotonic(), "layers": layers})


if __name__ == "__main__":
    asyncio.run(publish(sys.argv[1]))
    # libwebrtc's threads outlive the interpreter's end otherwise.
    os._exit(0)
