"""One trace from a client's request to the first picture: a real server, real media, and a collector of our own."""

import asyncio
import json
import subprocess
import urllib.error
import urllib.request

import pytest
import whip
from aiortc_peers import Publisher, Viewer
from collector import Collector, attributes
from sfuserver import SFUServer, environment, eventually, own_address
from signaling import roster

TEAL = (30, 150, 150)
ALICE, BOB = "00000000000a11ce", "0000000000000b0b"
TRACES = {"whip": f"00-4bf92f3577b34da6a3ce929d0e0e4736-{ALICE}-01",
          "whep": f"00-aaaabbbbccccddddeeeeffff00001111-{BOB}-01"}


@pytest.fixture
def traced(tmp_path):
    """A collector that is busy at first, and a server that exports to it."""
    with Collector(answers=[503, 429]) as collector:
        settings = tmp_path / "sfu.yaml"
        settings.write_text(json.dumps({"telemetry": {"endpoint": collector.url, "headers": ["x-key=s3cret"]}}))
        addresses = ("127.0.0.1", *filter(None, [own_address()]))
        with SFUServer(addresses, ["--config", str(settings)], log=tmp_path / "server.log") as server:
            yield server, collector


@pytest.fixture
def client_traces(monkeypatch):
    """Each POST carries the trace of whoever makes it."""
    plain = whip._request

    def request(method, url, body=None, headers=()):
        trace = TRACES["whip" if "/whip/" in url else "whep"]
        return plain(method, url, body, {**dict(headers), "traceparent": trace})

    monkeypatch.setattr(whip, "_request", request)


def test_from_the_request_to_the_first_picture(traced, client_traces, room):
    server, collector = traced

    async def scenario():
        async with Publisher(server, room, "alpha", TEAL, 500):
            async with Viewer(server, f"{room}/alpha") as viewer:
                await viewer.expect_colour(TEAL)

    asyncio.run(scenario())
    # Sessions ended with the DELETEs; what is left is exported within a second or so, after the two refusals.
    eventually(lambda: len(collector.named("sfu.session")) == 2, timeout=30)
    eventually(lambda: server.metric("sfu_trace_spans_exported_total") == len(collector.spans))
    outside = {ALICE, BOB}
    collector.check(outside)
    frames = collector.named("sfu.first_frame")
    assert frames and all(
        collector.path(frame, outside)
        == ["sfu.first_frame", "sfu.negotiate", "sfu.session", "POST /whep/{room}/{participant}", "client"]
        for frame in frames)
    medias = {attributes(span)["sfu.source"]: span for span in collector.named("sfu.first_media")}
    assert set(medias) == {"mic", "camera"}
    for media in medias.values():
        assert collector.path(media, outside) == [
            "sfu.first_media", "sfu.negotiate", "sfu.session", "POST /whip/{room}/{participant}", "client"]
        assert "status" not in media, media
    assert [link["spanId"] for link in frames[0]["links"]] == [medias["camera"]["spanId"]]
    for name in ("sfu.ice", "sfu.dtls"):
        assert len(collector.named(name)) == 2 and all("status" not in span for span in collector.named(name))
    assert collector.resources[0]["service.name"] == "sfu" and collector.resources[0]["service.version"]
    assert all(headers["x-key"] == "s3cret" for headers in collector.headers)
    assert server.metric("sfu_trace_export_retries_total") == 2
    assert server.metric("sfu_trace_spans_dropped_total") in (None, 0)
    assert "s3cret" not in "".join(server.lines)


def test_the_end_of_the_server_loses_no_span(traced, client_traces, room):
    server, collector = traced

    async def scenario():
        publisher = Publisher(server, room, "alpha", TEAL, 500)
        await publisher.__aenter__()
        await asyncio.to_thread(server.stop)
        await publisher.connection.close()
        server.start()

    asyncio.run(scenario())
    assert len(collector.named("sfu.session")) == 1
    collector.check({ALICE})


def test_a_timeline_for_people(traced, client_traces, room):
    server, _ = traced

    async def scenario():
        async with Publisher(server, room, "alpha", TEAL, 500):
            return await asyncio.to_thread(pid_of, server, room)

    pid = asyncio.run(scenario())
    command = [server.command[0], "timeline", "--dev", "--url", server.url, room, pid]
    told = subprocess.run(command, env=environment(), check=True, stdout=subprocess.PIPE, text=True, timeout=30).stdout.splitlines()
    words = [line.split("  ")[-1].strip() for line in told[1:]]
    assert told[0] == f"{pid} of alpha in {room}"
    assert words[:3] == ["joined by whip", "offer", "answer"] and words[-1] == "left: left"
    assert {"transport connected", "first packet of mic", "first packet of camera"} <= set(words)
    denied = subprocess.run(
        [*command[:2], "--token", "nonsense", *command[3:]], env=environment(), stderr=subprocess.PIPE, text=True, timeout=30
    )
    assert denied.returncode != 0 and "401" in denied.stderr
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{server.url}/v1/rooms/{room}/participants/{pid}/timeline", timeout=10)


def pid_of(server, room):
    """As anybody in the room sees it, once both tracks have been heard of."""
    def sending():
        people = [one for one in roster(server, room) if one["uid"] == "alpha"]
        return people and all(track.get("codec") for track in people[0]["tracks"]) and people[0]["pid"]
    return eventually(sending)
