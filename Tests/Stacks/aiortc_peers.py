"""A publisher and a viewer made with aiortc."""

import asyncio
import fractions

import numpy
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from av import AudioFrame, VideoFrame

import content
import whip


class ToneTrack(MediaStreamTrack):
    kind = "audio"

    def __init__(self, frequency):
        super().__init__()
        self.frequency, self.at, self.started = frequency, 0, None

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.started = self.started or loop.time()
        await asyncio.sleep(max(0, self.started + self.at / content.RATE - loop.time()))
        frame = AudioFrame.from_ndarray(content.tone(self.frequency, self.at, 960)[None, :], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = content.RATE, self.at, fractions.Fraction(1, content.RATE)
        self.at += 960
        return frame


class ColourTrack(MediaStreamTrack):
    kind = "video"

    def __init__(self, colour, width=320, height=180, fps=15):
        super().__init__()
        self.colour, self.size, self.fps, self.step, self.started = colour, (width, height), fps, 0, None

    async def recv(self):
        loop = asyncio.get_running_loop()
        self.started = self.started or loop.time()
        await asyncio.sleep(max(0, self.started + self.step / self.fps - loop.time()))
        width, height = self.size
        planes = numpy.frombuffer(content.i420(self.colour, width, height, self.step), numpy.uint8)
        frame = VideoFrame.from_ndarray(planes.reshape(height * 3 // 2, width), "yuv420p")
        frame.pts, frame.time_base = self.step * 90_000 // self.fps, fractions.Fraction(1, 90_000)
        self.step += 1
        return frame


async def _connect(connection, url):
    await connection.setLocalDescription(await connection.createOffer())
    answer, location = await whip.open_session(url, connection.localDescription.sdp)
    await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    return location


async def _connected(connection, seconds=15):
    for _ in range(seconds * 20):
        if connection.connectionState == "connected":
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"aiortc is {connection.connectionState} (ICE {connection.iceConnectionState})")


class Publisher:
    def __init__(self, server, room, name, colour, frequency):
        self.url = f"{server.url}/whip/{room}/{name}"
        self.tracks = [ToneTrack(frequency), ColourTrack(colour)]

    async def __aenter__(self):
        self.connection = RTCPeerConnection()
        for track in self.tracks:
            self.connection.addTrack(track)
        self.location = await _connect(self.connection, self.url)
        await _connected(self.connection)
        return self

    async def __aexit__(self, *_):
        await whip.end_session(self.location)
        await self.connection.close()


class Viewer:
    """Receives what `path` names, and tells colours and pitches."""

    def __init__(self, server, path, audio=1, video=1):
        self.url = f"{server.url}/whep/{path}"
        self.kinds = ["audio"] * audio + ["video"] * video

    async def __aenter__(self):
        self.connection = RTCPeerConnection()
        for kind in self.kinds:
            self.connection.addTransceiver(kind, direction="recvonly")
        self.location = await _connect(self.connection, self.url)
        await _connected(self.connection)
        return self

    async def __aexit__(self, *_):
        await whip.end_session(self.location)
        await self.connection.close()

    def track(self, kind, index=0):
        return [one.receiver.track for one in self.connection.getTransceivers() if one.kind == kind][index]

    async def expect_colour(self, wanted, index=0, seconds=20):
        track, found = self.track("video", index), None
        async with asyncio.timeout(seconds):
            while found is None or not content.near(found, wanted):
                picture = (await track.recv()).to_ndarray(format="yuv420p")
                height = picture.shape[0] * 2 // 3
                width = picture.shape[1]
                chroma = picture[height:].reshape(2, height // 2, width // 2)
                found = content.colour_of(*map(content.middle, (picture[:height], chroma[0], chroma[1])))
        return found

    async def expect_pitch(self, wanted, index=0, seconds=20):
        track, found = self.track("audio", index), None
        async with asyncio.timeout(seconds):
            while found is None or abs(found - wanted) > 15:
                samples = []
                while len(samples) < content.RATE // 2:
                    frame = await track.recv()
                    channels = frame.layout.nb_channels
                    samples.extend(frame.to_ndarray().reshape(-1)[::channels])
                found = content.pitch(samples, frame.sample_rate)
        return found
