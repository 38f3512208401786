"""A publisher and a viewer made with wrtc: libwebrtc without a browser, simulcast and bandwidth estimation included."""

import asyncio

import numpy
import webrtc

import content
import whip

# The server of the tests is on this machine.
webrtc.allow_loopback()


class Source:
    """Writes tone and colour into tracks until it is cancelled."""

    def __init__(self, colour, frequency, width, height, fps):
        self.colour, self.frequency, self.size, self.fps = colour, frequency, (width, height), fps
        self.audio = webrtc.MediaStreamTrackGenerator("audio")
        self.video = webrtc.MediaStreamTrackGenerator("video")

    async def run(self):
        await asyncio.gather(self._speak(), self._draw())

    async def _pace(self, interval):
        loop = asyncio.get_running_loop()
        started, step = loop.time(), 0
        while True:
            yield step
            step += 1
            await asyncio.sleep(max(0, started + step * interval - loop.time()))

    async def _speak(self):
        writer = self.audio.writable.get_writer()
        async for step in self._pace(0.02):
            samples = content.tone(self.frequency, step * 960, 960)
            await writer.write(webrtc.AudioData(webrtc.AudioDataInit(
                format="s16", sample_rate=content.RATE, number_of_frames=960, number_of_channels=1,
                timestamp=step * 20_000, data=samples.tobytes())))

    async def _draw(self):
        writer = self.video.writable.get_writer()
        width, height = self.size
        async for step in self._pace(1 / self.fps):
            await writer.write(webrtc.VideoFrame(
                content.i420(self.colour, width, height, step),
                webrtc.VideoFrameBufferInit(
                    format="I420", coded_width=width, coded_height=height, timestamp=step * 1_000_000 // self.fps)))


async def connect(connection, url, through=None):
    """The session's address. `through`: gives the answer's text as it is to be taken."""
    await connection.set_local_description(await connection.create_offer())
    for _ in range(100):
        if connection.ice_gathering_state == "complete":
            break
        await asyncio.sleep(0.02)
    answer, location = await whip.open_session(url, connection.local_description.sdp)
    answer = await through(answer) if through else answer
    await connection.set_remote_description(webrtc.RTCSessionDescriptionInit(type="answer", sdp=answer))
    for _ in range(300):
        if connection.connection_state == "connected":
            return location
        await asyncio.sleep(0.05)
    raise AssertionError(f"wrtc is {connection.connection_state} (ICE {connection.ice_connection_state})")


class Publisher:
    """`through`: what stands between it and the server, see narrow.py."""

    def __init__(self, server, room, name, colour, frequency, width=320, height=180, fps=15, rids=(), through=None):
        self.url = f"{server.url}/whip/{room}/{name}"
        self.source = Source(colour, frequency, width, height, fps)
        self.rids, self.through = rids, through

    async def __aenter__(self):
        self.connection = webrtc.RTCPeerConnection()
        once = webrtc.RTCRtpTransceiverInit(direction="sendonly")
        self.connection.add_transceiver(self.source.audio, once)
        scale = 2 ** (len(self.rids) - 1)
        encodings = [
            webrtc.RTCRtpEncodingParameters(rid=rid, scale_resolution_down_by=scale / 2 ** index)
            for index, rid in enumerate(self.rids)]
        self.connection.add_transceiver(
            self.source.video, webrtc.RTCRtpTransceiverInit(direction="sendonly", send_encodings=encodings))
        self.location = await connect(self.connection, self.url, self.through and self.through.rewritten)
        self.running = asyncio.create_task(self.source.run())
        return self

    async def __aexit__(self, *_):
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        await whip.end_session(self.location)
        self.connection.close()

    async def layers(self):
        """Frames that each layer has sent, by rid."""
        stats = await self.connection.get_stats()
        return {one.rid: one.frames_encoded for one in stats.values()
                if one.type == "outbound-rtp" and one.kind == "video"}


class Viewer:
    def __init__(self, server, path, audio=1, video=1):
        self.url = f"{server.url}/whep/{path}"
        self.kinds = ["audio"] * audio + ["video"] * video

    async def __aenter__(self):
        self.connection = webrtc.RTCPeerConnection()
        for kind in self.kinds:
            self.connection.add_transceiver(kind, webrtc.RTCRtpTransceiverInit(direction="recvonly"))
        self.location = await connect(self.connection, self.url)
        return self

    async def __aexit__(self, *_):
        await whip.end_session(self.location)
        self.connection.close()

    def _reader(self, kind, index):
        tracks = [one.receiver.track for one in self.connection.get_transceivers() if one.receiver.track.kind == kind]
        processor = webrtc.MediaStreamTrackProcessor(webrtc.MediaStreamTrackProcessorInit(track=tracks[index]))
        return processor, processor.readable.get_reader()

    async def colours(self, index=0):
        """(colour, width) of one picture after the other."""
        processor, reader = self._reader("video", index)
        try:
            while True:
                frame = (await reader.read()).value
                width, height = frame.coded_width, frame.coded_height
                data = bytearray(frame.allocation_size())
                await frame.copy_to(data)
                frame.close()
                planes = numpy.frombuffer(bytes(data), numpy.uint8)
                half = (height + 1) // 2, (width + 1) // 2
                luma, rest = planes[:width * height].reshape(height, width), planes[width * height:]
                u = rest[:half[0] * half[1]].reshape(half)
                v = rest[half[0] * half[1]:2 * half[0] * half[1]].reshape(half)
                yield content.colour_of(*map(content.middle, (luma, u, v))), width
        finally:
            reader.release_lock()
            del processor

    async def expect_colour(self, wanted, index=0, seconds=20, width=None):
        found = None
        try:
            async with asyncio.timeout(seconds):
                async for found in self.colours(index):
                    if content.near(found[0], wanted) and width in (None, found[1]):
                        return found
        except TimeoutError:
            raise AssertionError(f"saw {found} last, not {wanted} {width or ''}") from None

    async def expect_pitch(self, wanted, index=0, seconds=20):
        processor, reader = self._reader("audio", index)
        found = None
        try:
            async with asyncio.timeout(seconds):
                while found is None or abs(found - wanted) > 15:
                    samples, rate = [], content.RATE
                    while len(samples) < rate // 2:
                        data = (await reader.read()).value
                        rate, channels = int(data.sample_rate), data.number_of_channels
                        options = webrtc.AudioDataCopyToOptions(plane_index=0, format="s16")
                        buffer = bytearray(data.allocation_size(options))
                        data.copy_to(buffer, options)
                        data.close()
                        samples.extend(numpy.frombuffer(bytes(buffer), numpy.int16)[::channels])
                    found = content.pitch(samples, rate)
        except TimeoutError:
            raise AssertionError(f"heard {found} Hz last, not {wanted}") from None
        finally:
            reader.release_lock()
            del processor
        return found
