"""Ten people come, talk and go, again and again: nothing of them stays behind in the server."""

import asyncio
import colorsys
import os

from sfuserver import eventually
from wrtc_peers import Publisher, Viewer

PEOPLE = 10
# Long enough for histories, rings and reports to fill, and for a leak per second to show.
SECONDS = int(os.environ.get("SFU_SECONDS", "60"))
GAUGES = ("sfu_sessions", "sfu_publications", "sfu_rooms", "sfu_paths")


def colour(index):
    return tuple(round(255 * one) for one in colorsys.hsv_to_rgb(index / PEOPLE, 0.75, 0.8))


async def call(server, room, seconds):
    """Everybody publishes and watches the room; returns how many pictures each viewer got in the second half."""
    async def count(viewer, index, counts):
        async for _ in viewer.colours(index):
            counts[viewer, index] = counts.get((viewer, index), 0) + 1

    publishers = [Publisher(server, room, f"p{i}", colour(i), 400 + 90 * i, 160, 96, 10) for i in range(PEOPLE)]
    viewers = [Viewer(server, f"{room}?me=p{i}", audio=3, video=4) for i in range(PEOPLE)]
    entered = []
    try:
        for one in (*publishers, *viewers):
            await one.__aenter__()
            entered.append(one)
        await asyncio.sleep(seconds / 2)
        assert server.metric("sfu_sessions") == 2 * PEOPLE
        assert server.metric("sfu_publications") == 2 * PEOPLE
        resident = server.resident_bytes()
        counts = {}
        counters = [asyncio.create_task(count(viewer, index, counts)) for viewer in viewers for index in range(4)]
        await asyncio.sleep(seconds / 2)
        for counter in counters:
            counter.cancel()
        await asyncio.gather(*counters, return_exceptions=True)
        if seconds >= 20:
            grown = server.resident_bytes() - resident
            assert grown < 2 << 20, f"{grown >> 10} KiB more after {seconds / 2} s of the same call"
        return counts
    finally:
        await asyncio.gather(*(one.__aexit__() for one in reversed(entered)))


def expect_empty(server):
    def empty():
        left = {name: server.metric(name) for name in GAUGES}
        assert all(value == 0 for value in left.values()), f"still there: {left}"
        return True
    eventually(empty, 20, what="the server forgets everybody")


def held(server):
    """Descriptors (ports, sockets) and threads that the process holds."""
    return tuple(len(os.listdir(f"/proc/{server.process.pid}/{what}")) for what in ("fd", "task"))


def test_ten_people_leave_nothing_behind(server, room):
    async def scenario():
        counts = await call(server, room, SECONDS)
        assert len(counts) == 4 * PEOPLE, f"only {len(counts)} of {4 * PEOPLE} sections show anything"
        slowest = min(counts.values())
        assert slowest >= 10 * SECONDS / 2 * 0.6, f"a section shows {slowest} pictures in {SECONDS / 2} s"
    # The first call starts what stays, such as the metrics' connection.
    asyncio.run(call(server, f"{room}-first", 2))
    expect_empty(server)
    before = held(server)
    asyncio.run(scenario())
    expect_empty(server)
    eventually(
        lambda: all(now <= then for now, then in zip(held(server), before)), 20,
        what="descriptors and threads are given back")


def test_memory_does_not_grow_from_call_to_call(server, room):
    sizes = []
    for round_number in range(6):
        asyncio.run(call(server, f"{room}-{round_number}", 4))
        expect_empty(server)
        sizes.append(server.resident_bytes() >> 10)
    # The first calls fill caches and the allocator's arenas.
    assert sizes[-1] <= sizes[2] * 1.05 + 2048, f"resident KiB after each call: {sizes}"
    print(f"resident KiB after each call: {sizes}")
