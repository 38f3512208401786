"""A publisher whose uplink shrinks learns of it from our feedback: its pictures give way, and its voice arrives."""

import asyncio

import numpy
import webrtc

from narrow import NarrowUplink
from wrtc_peers import Publisher, Source, Viewer

TEAL = (30, 150, 150)


class Noise(Source):
    """Pictures that cost as many bits as an encoder may spend."""

    async def _draw(self):
        writer = self.video.writable.get_writer()
        width, height = self.size
        noise = numpy.random.default_rng(1)
        pictures = []
        for _ in range(16):
            luma = noise.integers(60, 200, (height // 4, width // 4), numpy.uint8).repeat(4, 0).repeat(4, 1)
            chroma = noise.integers(90, 160, (2, height // 2, width // 2), numpy.uint8)
            pictures.append(luma.tobytes() + chroma.tobytes())
        async for step in self._pace(1 / self.fps):
            await writer.write(webrtc.VideoFrame(
                pictures[step % len(pictures)],
                webrtc.VideoFrameBufferInit(
                    format="I420", coded_width=width, coded_height=height, timestamp=step * 1_000_000 // self.fps)))


def test_a_voice_arrives_over_an_uplink_that_shrinks(server, room):
    async def scenario():
        async with NarrowUplink(server) as uplink:
            uplink.rate = 3_000_000
            publisher = Publisher(server, room, "alpha", TEAL, 500, rids=("q", "h"), through=uplink)
            publisher.source = Noise(TEAL, 500, 640, 360, 15)
            async with publisher, Viewer(server, f"{room}/alpha") as viewer:
                await asyncio.sleep(12)
                uplink.count()
                await asyncio.sleep(3)
                wide = uplink.tallies["video"].bits / 3
                assert wide > 350_000, f"only {wide:.0f} bit/s of video were sent before"
                uplink.rate = 200_000
                uplink.count()
                await asyncio.sleep(8)
                falling = uplink.tallies["audio"].loss
                uplink.count()
                await asyncio.sleep(10)
                audio, video = uplink.tallies["audio"], uplink.tallies["video"]
                print(f"video {wide / 1000:.0f} -> {video.bits / 10_000:.0f} kbit/s, audio lost {falling:.3f} in the fall, "
                      f"{audio.loss:.4f} after it")
                assert audio.offered >= 350, audio.offered
                assert audio.loss <= 0.02, f"{audio.loss:.3f} of the voice are lost"
                assert falling <= 0.3, f"{falling:.3f} of the voice were lost in the fall"
                assert 0 < video.bits / 10 < 180_000
                await viewer.expect_pitch(500)
    asyncio.run(scenario())
