"""Ten people come, talk and go, again and again: nothing of them stays behind in the server."""

import asyncio
import colorsys
import os

from sfuserver import eventually
from wrtc_peers import Publisher, Viewer

PEOPLE = 10
# Long enough for histories, rings and reports to fill; SFU_SECONDS=60 for a closer look.
SECONDS = int(os.environ.get("SFU_SECONDS", "20"))
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
        counts = {}
        counters = [asyncio.create_task(count(viewer, index, counts)) for viewer in viewers for index in range(4)]
        await asyncio.sleep(seconds / 2)
        for counter in counters:
            counter.cancel()
        await asyncio.gather(*counters, return_exceptions=True)
        return counts
    finally:
        await asyncio.gather(*(one.__aexit__() for one in reversed(entered)))


def expect_empty(server):
    def empty():
        left = {name: server.metric(name) for name in GAUGES}
        assert all(value == 0 for value in left.values()), f"still there: {left}"
        return True
    eventually(empty, 20, what="the server forgets everybody")


def test_ten_people_leave_nothing_behind(server, room):
    async def scenario():
        counts = await call(server, room, SECONDS)
        assert len(counts) == 4 * PEOPLE, f"only {len(counts)} of {4 * PEOPLE} sections show anything"
        slowest = min(counts.values())
        assert slowest >= 10 * SECONDS / 2 * 0.6, f"a section shows {slowest} pictures in {SECONDS / 2} s"
    asyncio.run(scenario())
    expect_empty(server)


def test_memory_does_not_grow_from_call_to_call(server, room):
    sizes = []
    for round_number in range(6):
        asyncio.run(call(server, f"{room}-{round_number}", 4))
        expect_empty(server)
        sizes.append(server.resident_bytes() >> 10)
    # The first calls fill caches and the allocator's arenas.
    assert sizes[-1] <= sizes[2] * 1.05 + 2048, f"resident KiB after each call: {sizes}"
    print(f"resident KiB after each call: {sizes}")
