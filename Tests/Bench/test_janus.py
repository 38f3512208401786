"""WHIP and WHEP in front of a VideoRoom: what is asked of it, and what clients are answered. The VideoRoom is a script."""

import json
import threading
import urllib.error
import urllib.request

import janus
import pytest
import test_sdp


class VideoRoom:
    """Answers as Janus does and remembers what it was asked."""

    def __init__(self):
        self.asked = []
        self.handles = 0
        self.detached = []
        self.fails = None

    def attach(self):
        self.handles += 1
        return self.handles

    def detach(self, handle):
        self.detached.append(handle)

    def end_of_candidates(self, handle):
        self.asked.append((handle, "trickle", None))

    def request(self, handle, body, jsep=None):
        self.asked.append((handle, body, jsep))
        if self.fails == body["request"]:
            raise janus.JanusError("no such room")
        if body["request"] == "join" and body["ptype"] == "publisher":
            return {"id": 4711}, None
        if body["request"] == "publish":
            return {}, "the answer"
        if body["request"] == "join":
            return {}, test_sdp.SERVER
        return {}, None


@pytest.fixture
def room():
    return VideoRoom()


@pytest.fixture
def bridge(room):
    bridge = janus.Bridge(janus.Rooms(room))
    yield bridge
    bridge.stop()


def ask(bridge, method, path, body=None):
    """(status, headers, text)"""
    data = body.encode() if body is not None else None
    request = urllib.request.Request(bridge.url + path, data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def test_a_publisher_is_answered_and_opens_the_handshake(room, bridge):
    status, headers, text = ask(bridge, "POST", "/whip/load/somebody", test_sdp.CLIENT)
    assert (status, text) == (201, "the answer")
    assert headers["Content-Type"] == "application/sdp" and headers["Location"].startswith("/handles/")
    created, joined, published, trickled = room.asked
    assert created[1]["request"] == "create" and created[1]["room"] == joined[1]["room"]
    kind, offer = published[2]
    assert kind == "offer" and "a=setup:active\r\n" in offer and "actpass" not in offer
    assert trickled[1] == "trickle"


def test_a_subscriber_gets_the_publisher_it_names(room, bridge):
    assert ask(bridge, "POST", "/whep/load/somebody", test_sdp.CLIENT)[0] == 409
    ask(bridge, "POST", "/whip/load/somebody", test_sdp.CLIENT)
    status, headers, text = ask(bridge, "POST", "/whep/load/somebody", test_sdp.CLIENT)
    assert status == 201 and "a=setup:passive" in text and "a=ice-ufrag:ssss" in text
    joined, started = [one for one in room.asked if one[1] != "trickle"][-2:]
    assert joined[1]["streams"] == [{"feed": 4711}] and started[1] == {"request": "start"}
    assert started[2][0] == "answer" and "a=ice-ufrag:cccc" in started[2][1]
    # The room was created once.
    assert sum(one[1] != "trickle" and one[1]["request"] == "create" for one in room.asked) == 1
    assert ask(bridge, "POST", "/whep/other/somebody", test_sdp.CLIENT)[0] == 409
    assert ask(bridge, "DELETE", headers["Location"])[0] == 200
    assert room.detached == [int(headers["Location"].rpartition("/")[2])]


def test_what_goes_wrong_is_said(room, bridge):
    room.fails = "publish"
    status, _, text = ask(bridge, "POST", "/whip/load/somebody", test_sdp.CLIENT)
    assert (status, text) == (502, "no such room")
    room.fails = None
    ask(bridge, "POST", "/whip/load/somebody", test_sdp.CLIENT)
    status, _, text = ask(bridge, "POST", "/whep/load/somebody", test_sdp.CLIENT.replace("opus", "x").replace("VP8", "x"))
    assert status == 502 and "codec in common" in text
    for path in ("/", "/whip/load", "/whip/a/b/c", "/other/a/b"):
        assert ask(bridge, "POST", path, "v=0")[0] == 404
    assert ask(bridge, "POST", "/whip/a/b", "")[0] == 404
    assert ask(bridge, "DELETE", "/handles/x")[0] == 404


def test_the_configuration_has_the_videoroom_alone(tmp_path, monkeypatch):
    source = tmp_path / "lib"
    monkeypatch.setattr(janus, "modules", lambda: source)
    folder = tmp_path / "etc"
    folder.mkdir()
    janus.write_configuration(folder, "10.9.8.7", 18088, 4)
    main = (folder / "janus.jcfg").read_text()
    assert "event_loops = 4" in main and "ice_lite = true" in main and 'ice_enforce_list = "10.9.8.7"' in main
    assert "stun" not in main and "turn" not in main
    assert 'ip = "127.0.0.1"' in (folder / "janus.transport.http.jcfg").read_text()
    assert [one.name for one in (folder / "plugins").iterdir()] == ["libjanus_videoroom.so"]
    assert [one.name for one in (folder / "transports").iterdir()] == ["libjanus_http.so"]
    assert not list((folder / "events").iterdir()) and not list((folder / "loggers").iterdir())


class Api:
    """Janus' HTTP API: acknowledges messages, tells of events to whoever waits for them."""

    def __init__(self):
        self.events = []
        self.has_event = threading.Event()
        outer = self

        class Handler(janus.http.server.BaseHTTPRequestHandler):
            def _send(self, value):
                body = json.dumps(value).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                outer.has_event.wait(1)
                events, outer.events = outer.events, []
                outer.has_event.clear()
                self._send(events or {"janus": "keepalive"})

            def do_POST(self):
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                kind = message["janus"]
                if kind in ("create", "attach"):
                    return self._send({"janus": "success", "data": {"id": 5}})
                said = {"plugin": janus.VIDEOROOM, "data": {"videoroom": "event"}}
                if message["body"]["request"] == "bad":
                    said["data"] = {"error": "it is bad"}
                event = {"janus": "event", "transaction": message["transaction"], "plugindata": said}
                if "jsep" in message:
                    event["jsep"] = {"type": "answer", "sdp": message["jsep"]["sdp"] + "!"}
                outer.events += [{"janus": "webrtcup"}, event]
                outer.has_event.set()
                self._send({"janus": "ack"})

            def log_message(self, *_):
                pass

        self.server = janus.http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def test_events_find_the_request_that_they_answer(tmp_path, monkeypatch):
    api = Api()
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 60\n")
    sleeper.chmod(0o755)
    monkeypatch.setattr(janus, "binary", lambda: str(sleeper))
    monkeypatch.setattr(janus, "modules", lambda: tmp_path)
    folder = tmp_path / "etc"
    folder.mkdir()
    one = janus.Janus(folder, "10.9.8.7", api.server.server_address[1], 1)
    try:
        assert one.attach() == 5
        assert one.request(5, {"request": "publish"}, ("offer", "sdp")) == ({"videoroom": "event"}, "sdp!")
        assert one.request(5, {"request": "start"}) == ({"videoroom": "event"}, None)
        with pytest.raises(janus.JanusError, match="it is bad"):
            one.request(5, {"request": "bad"})
    finally:
        one.stop()
        api.server.shutdown()
        api.server.server_close()
    assert one.process.poll() is not None


def test_a_janus_that_ends_at_once_says_why(tmp_path, monkeypatch):
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho no configuration\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(janus, "binary", lambda: str(broken))
    monkeypatch.setattr(janus, "modules", lambda: tmp_path)
    folder = tmp_path / "etc"
    folder.mkdir()
    with pytest.raises(janus.JanusError, match="no configuration"):
        janus.Janus(folder, "10.9.8.7", 1, 1)
