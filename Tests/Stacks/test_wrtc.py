"""libwebrtc without a browser publishes by WHIP and watches by WHEP."""

import asyncio

from wrtc_peers import Publisher, Viewer

TEAL, ORANGE = (30, 150, 150), (220, 130, 30)


def test_what_one_publishes_the_other_decodes(server, room):
    async def scenario():
        async with Publisher(server, room, "alpha", TEAL, 500):
            async with Viewer(server, f"{room}/alpha") as viewer:
                await viewer.expect_colour(TEAL)
                await viewer.expect_pitch(500)
    asyncio.run(scenario())


def test_everybody_else_fills_the_sections_of_one_offer(server, room):
    async def scenario():
        async with Publisher(server, room, "alpha", TEAL, 500), Publisher(server, room, "beta", ORANGE, 730):
            async with Viewer(server, f"{room}?me=watcher", audio=2, video=2) as viewer:
                wanted = {TEAL, ORANGE}
                for index in range(2):
                    for colour in sorted(wanted):
                        try:
                            await viewer.expect_colour(colour, index, seconds=8)
                        except AssertionError:
                            continue
                        wanted.discard(colour)
                        break
                assert not wanted, f"nobody shows {wanted}"
    asyncio.run(scenario())


def test_simulcast_arrives_as_one_stream_at_its_largest(server, room):
    """Three VP8 layers go up, one goes down; a viewer that names no size gets the largest."""
    async def scenario():
        async with Publisher(server, room, "alpha", TEAL, 500, 1280, 720, 15, rids=("q", "h", "f")) as publisher:
            async with Viewer(server, f"{room}/alpha") as viewer:
                await viewer.expect_colour(TEAL, width=1280, seconds=40)
                await viewer.expect_pitch(500)
            layers = await publisher.layers()
            assert set(layers) == {"q", "h", "f"}
            assert all(frames > 0 for frames in layers.values()), layers
    asyncio.run(scenario())
