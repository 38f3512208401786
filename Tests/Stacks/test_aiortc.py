"""aiortc publishes by WHIP and watches by WHEP: fixed payload numbers of its own, no TWCC, no simulcast."""

import asyncio

import whip
from aiortc import RTCPeerConnection
from aiortc_peers import Publisher, Viewer

TEAL, ORANGE = (30, 150, 150), (220, 130, 30)


def test_what_one_publishes_the_other_decodes(server, room):
    async def scenario():
        async with Publisher(server, room, "alpha", TEAL, 500):
            async with Viewer(server, f"{room}/alpha") as viewer:
                await viewer.expect_colour(TEAL)
                await viewer.expect_pitch(500)
    asyncio.run(scenario())


def test_a_viewer_of_the_room_gets_everybody_else(server, room):
    async def scenario():
        async with Publisher(server, room, "alpha", TEAL, 500), Publisher(server, room, "beta", ORANGE, 730):
            # The viewer is alpha, so only beta is somebody else.
            async with Viewer(server, f"{room}?me=alpha") as viewer:
                await viewer.expect_colour(ORANGE)
                await viewer.expect_pitch(730)
    asyncio.run(scenario())


def test_a_viewer_may_come_before_the_publisher(server, room):
    async def scenario():
        async with Viewer(server, f"{room}?me=early") as viewer:
            async with Publisher(server, room, "alpha", TEAL, 500):
                await viewer.expect_colour(TEAL)
                await viewer.expect_pitch(500)
    asyncio.run(scenario())


def test_a_participant_that_is_not_live_is_a_conflict(server, room):
    async def scenario():
        connection = RTCPeerConnection()
        connection.addTransceiver("video", direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        answer = await whip.post_offer(f"{server.url}/whep/{room}/nobody", connection.localDescription.sdp)
        await connection.close()
        assert answer.status == 409, answer
        assert int(answer.headers["Retry-After"]) >= 1
    asyncio.run(scenario())


def test_publishing_again_replaces_the_session(server, room):
    async def scenario():
        first = Publisher(server, room, "alpha", TEAL, 500)
        await first.__aenter__()
        async with Viewer(server, f"{room}?me=watcher") as viewer:
            await viewer.expect_colour(TEAL)
            # The encoder crashed and starts anew; the old session is not ended by anybody.
            async with Publisher(server, room, "alpha", ORANGE, 730):
                await viewer.expect_colour(ORANGE)
                await viewer.expect_pitch(730)
                assert not await whip.still_there(first.location)
        await first.connection.close()
    asyncio.run(scenario())
