"""Two processes: the gateway may die, and no packet of a call is lost for it."""

import asyncio
import os
import signal
import stat
import subprocess

import pytest
from aiortc_peers import Publisher, Viewer
from planes import Planes
from sfuserver import environment, eventually, own_address

TEAL = (30, 150, 150)


@pytest.fixture
def planes(tmp_path):
    addresses = ("127.0.0.1", *filter(None, [own_address()]))
    with Planes(tmp_path, addresses) as started:
        yield started


class Packets:
    """The sequence numbers of all RTP packets that a viewer's connection gets, by SSRC, with when they came."""

    def __init__(self, viewer):
        self.by_ssrc = {}
        loop = asyncio.get_running_loop()
        for receiver in viewer.connection.getReceivers():
            original = receiver._handle_rtp_packet

            async def handle(packet, arrival_time_ms, original=original):
                self.by_ssrc.setdefault(packet.ssrc, []).append((packet.sequence_number, loop.time()))
                await original(packet, arrival_time_ms=arrival_time_ms)

            receiver._handle_rtp_packet = handle

    def count(self, since=0.0):
        return sum(at >= since for packets in self.by_ssrc.values() for _, at in packets)

    def missing(self):
        """Numbers that never came, by SSRC; a resend or another order is no gap."""
        gaps = {}
        for ssrc, packets in self.by_ssrc.items():
            first, seen = packets[0][0], {0}
            highest = 0
            for number, _ in packets:
                distance = (number - first - highest + 0x8000) % 0x10000 - 0x8000 + highest
                seen.add(distance)
                highest = max(highest, distance)
            lost = [number for number in range(highest) if number not in seen]
            if lost:
                gaps[ssrc] = lost
        return gaps


async def wait_for(check, what, seconds=20):
    for _ in range(seconds * 20):
        if check():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{what} did not happen in {seconds} s")


async def in_thread(function, *arguments):
    """Without holding up the peers, which live on this loop."""
    return await asyncio.to_thread(function, *arguments)


class Call:
    """A publisher and a viewer with its packets; sessions are not ended by HTTP, since a gateway may have forgotten."""

    def __init__(self, planes, room):
        self.publisher = Publisher(planes, room, "alpha", TEAL, 500)
        self.viewer = Viewer(planes, f"{room}/alpha")

    async def __aenter__(self):
        await self.publisher.__aenter__()
        await self.viewer.__aenter__()
        self.packets = Packets(self.viewer)
        await self.viewer.expect_colour(TEAL)
        return self

    async def __aexit__(self, *_):
        await self.viewer.connection.close()
        await self.publisher.connection.close()

    async def flows(self, packets=150):
        """So many more packets come, and none of all is missing."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        await wait_for(lambda: self.packets.count(since) >= packets, "more media")
        assert self.viewer.connection.connectionState == "connected"
        # What is under way may still fill a gap.
        await wait_for(lambda: not self.packets.missing(), f"a stream without gaps: {self.packets.missing()}", 2)


def test_no_packet_is_lost_when_the_gateway_is_killed(planes, room):
    async def scenario():
        async with Call(planes, room) as call:
            await call.flows()
            for _ in range(2):
                await in_thread(planes.gateway.kill)
                await call.flows(300)
                await call.viewer.expect_pitch(500)
                await in_thread(planes.gateway.start)
                await in_thread(planes.wait_until_ready)
                await call.flows(300)
    asyncio.run(scenario())


def test_no_packet_is_lost_when_the_gateway_is_restarted(planes, room):
    async def scenario():
        async with Call(planes, room) as call:
            await call.flows()
            await in_thread(planes.gateway.stop)
            await call.flows(300)
            await in_thread(planes.gateway.start)
            await in_thread(planes.wait_until_ready)
            await call.flows(300)
    asyncio.run(scenario())


def test_a_gateway_that_hangs_and_comes_back_costs_nothing(planes, room):
    async def scenario():
        async with Call(planes, room) as call:
            planes.gateway.process.send_signal(signal.SIGSTOP)
            await call.flows(300)
            planes.gateway.process.send_signal(signal.SIGCONT)
            await in_thread(planes.wait_until_ready)
            await call.flows(150)
    asyncio.run(scenario())


def test_readiness_follows_the_media_plane(planes):
    assert planes.metric("sfu_link_up") == 1
    planes.media.kill()
    assert "media plane is away" in planes.wait_until_unready()
    # The socket file of the dead process is in the way of nobody.
    assert planes.socket.exists()
    planes.media.start()
    planes.wait_until_ready()
    assert planes.metric("sfu_link_up") == 1
    assert planes.metric("sfu_link_connects_total") == 2
    # The gateway hears the new one's workers.
    eventually(lambda: planes.metric("sfu_link_accepted_total") == 1, what="the new media plane's counters")


def test_a_new_media_plane_takes_new_calls(planes, room):
    planes.media.kill()
    planes.wait_until_unready()
    planes.media.start()
    planes.wait_until_ready()

    async def scenario():
        async with Call(planes, room) as call:
            await call.flows()
    asyncio.run(scenario())


def test_the_socket_is_for_its_owner_alone(planes):
    mode = os.stat(planes.socket).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(os.stat(planes.socket.parent).st_mode) == 0o700


def test_a_second_media_plane_is_refused(planes):
    command = list(planes.media.command)
    for index, part in enumerate(command):
        if part == "--media":
            command[index + 1] = "127.0.0.1:0"
    second = subprocess.run(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
    assert second.returncode == 1, second.stdout
    assert f"another media plane listens on {planes.socket}" in second.stdout
    planes.wait_until_ready()


def test_both_drain_on_sigterm(planes):
    planes.gateway.stop()
    eventually(lambda: "the gateway says goodbye" in planes.media.text, what="the goodbye")
    planes.media.stop()
    assert not planes.socket.exists()
