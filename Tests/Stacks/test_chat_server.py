"""The example chat server and sfu as two processes: what happens in calls arrives, whatever is killed."""

import base64
import contextlib
import hashlib
import hmac
import http.cookiejar
import http.server
import json
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from chatserver import KEY, SECRET, ChatServer
from sfuserver import SFUServer, eventually, free_port
from websockets.sync.client import connect


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def server_token(**claims):
    now = int(time.time())
    claims = {"iss": "chat", "exp": now + 60, "scope": "events:read", **claims}
    head = b64(b'{"alg":"HS256","typ":"JWT"}') + "." + b64(json.dumps(claims).encode())
    return head + "." + b64(hmac.new(KEY.encode(), head.encode(), hashlib.sha256).digest())


class Recorder:
    """A webhook receiver that takes each event at its second delivery only, and remembers all of them."""

    def __init__(self):
        self.requests = []
        seen, requests = set(), self.requests

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                identifier = self.headers["Sfu-Event-Id"]
                requests.append((identifier, body))
                self.send_response(204 if identifier in seen else 503)
                seen.add(identifier)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Person:
    """A user of the chat, perhaps with a socket in a call."""

    def __init__(self, chat, name, sockets):
        self.chat = chat
        self.name = name
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        self.sockets = sockets
        self.socket = None
        self.api("/api/login", {"name": name})

    def api(self, path, data=None):
        body = None if data is None else json.dumps(data).encode()
        with self.opener.open(urllib.request.Request(self.chat.url + path, body), timeout=10) as response:
            return json.load(response)

    def conversation(self, identifier):
        return next(one for one in self.api("/api/me")["conversations"] if one["id"] == identifier)

    def in_call(self, identifier):
        return self.conversation(identifier)["inCall"]

    def texts(self, identifier):
        return [message["text"] for message in self.api(f"/api/conversations/{identifier}")]

    def join(self, identifier):
        ticket = self.api(f"/api/conversations/{identifier}/call", {"ring": True})
        url = ticket["url"].replace("http", "ws", 1) + f"/v1/rooms/{urllib.parse.quote(ticket['room'])}/signal"
        self.socket = self.sockets.enter_context(connect(url, subprotocols=["sfu.v1+json"], close_timeout=1))
        self.send({"type": "hello", "v": "1.0", "data": {
            "token": ticket["token"], "device": {"did": f"device-of-{self.name}", "kind": "web"}}})
        first = json.loads(self.socket.recv(timeout=10))
        assert first["type"] == "welcome", first
        # Somebody has to read, or the socket is found dead.
        threading.Thread(target=self._read, daemon=True).start()
        return first["data"]

    def _read(self):
        try:
            for _ in self.socket:
                pass
        except Exception:
            pass

    def send(self, message):
        self.socket.send(json.dumps(message))

    def leave(self):
        self.send({"id": 1, "type": "leave", "data": {}})


@pytest.fixture
def recorder():
    one = Recorder()
    yield one
    one.close()


@pytest.fixture
def chat_port():
    return free_port()


@pytest.fixture
def server(tmp_path, recorder, chat_port):
    settings = tmp_path / "sfu.yaml"
    settings.write_text(f"""
keys: {{chat: {KEY}}}
events: {{return-seconds: 4}}
webhooks:
  - url: http://127.0.0.1:{chat_port}/sfu-events
    secrets: [{SECRET}]
  - url: {recorder.url}
    secrets: [{SECRET}, an-older-secret-that-is-on-its-way-out]
""")
    arguments = ("--config", str(settings), "--data", str(tmp_path / "data"))
    with SFUServer(arguments=arguments, log=tmp_path / "server.log") as started:
        yield started


@pytest.fixture
def chat(tmp_path, server, chat_port):
    one = ChatServer(tmp_path, server.url, chat_port)
    one.start()
    yield one
    one.kill()


@pytest.fixture
def sockets():
    with contextlib.ExitStack() as open_ones:
        yield open_ones


@pytest.fixture
def people(chat, sockets):
    """Alice, bob, and a conversation of the two that is alice's."""
    alice, bob = Person(chat, "alice", sockets), Person(chat, "bob", sockets)
    identifier = alice.api("/api/conversations", {"title": "Friends", "members": ["bob"]})["id"]
    return alice, bob, identifier


def pull(server, **query):
    request = urllib.request.Request(
        f"{server.url}/v1/events?{urllib.parse.urlencode(query)}",
        headers={"Authorization": f"Bearer {server_token()}"})
    with urllib.request.urlopen(request, timeout=40) as response:
        return json.load(response)


def expect_all_taken(server, chat, identifier):
    """The chat server has each event of the server's log once, in order and without a hole."""
    def same():
        log = [(event["id"], event["roomSeq"]) for event in pull(server, room=identifier, limit=1000)["events"]]
        assert log and [number for _, number in log] == list(range(1, len(log) + 1))
        assert chat.events(identifier) == log
        return True
    eventually(same, what="the chat server has all events")


def test_a_call_is_shown_from_ring_to_summary(server, chat, people):
    alice, bob, identifier = people
    stream = bob.opener.open(chat.url + "/api/stream", timeout=20)
    rings = []

    def listen():
        for line in stream:
            if line.startswith(b"data: ") and b'"ring"' in line:
                rings.append(json.loads(line[6:]))
                return
    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    welcome = alice.join(identifier)
    assert welcome["role"] == "moderator" and welcome["grants"]["moderate"] is True
    listener.join(20)
    assert rings and rings[0]["by"] == "alice" and rings[0]["conversation"] == identifier
    eventually(lambda: bob.in_call(identifier) == ["alice"], what="alice is shown in the call")
    assert bob.join(identifier)["role"] == "speaker"
    eventually(lambda: alice.in_call(identifier) == ["alice", "bob"], what="both are shown")
    alice.leave()
    eventually(lambda: bob.in_call(identifier) == ["bob"], what="alice is gone")
    bob.leave()
    eventually(lambda: bob.in_call(identifier) == [], what="all are gone")
    eventually(lambda: len(bob.texts(identifier)) == 2, what="the summary is posted")
    started, ended = bob.texts(identifier)
    assert started == "A call has started"
    assert re.fullmatch(r"Call ended after 0:\d\d, with (alice, bob|bob, alice)", ended)
    expect_all_taken(server, chat, identifier)


def rings_of(person, chat):
    """Grows as this person is rung."""
    stream = person.opener.open(chat.url + "/api/stream", timeout=20)
    rings = []

    def listen():
        with contextlib.suppress(OSError):
            for line in stream:
                if line.startswith(b"data: ") and b'"ring"' in line:
                    rings.append(json.loads(line[6:])["by"])
    threading.Thread(target=listen, daemon=True).start()
    return rings


def test_who_answers_before_the_caller_is_in_rings_nobody(server, chat, people):
    alice, bob, identifier = people
    rung, back = rings_of(bob, chat), rings_of(alice, chat)

    def ring(person):
        person.api(f"/api/conversations/{identifier}/call", {"ring": True})

    ring(alice)
    eventually(lambda: rung == ["alice"], what="bob is rung")
    # Nobody is in the call so far: no event can have said that alice is.
    ring(bob)
    ring(alice)
    eventually(lambda: rung == ["alice", "alice"], what="bob is rung again")
    assert back == []


def test_a_chat_server_that_was_killed_misses_nothing(server, chat, people):
    alice, bob, identifier = people
    alice.join(identifier)
    eventually(lambda: alice.in_call(identifier) == ["alice"], what="alice is shown")
    bob_token = bob.api(f"/api/conversations/{identifier}/call", {})
    chat.kill()
    # Without the chat server: bob comes with the token that he has, and alice goes.
    bob.api = lambda *_: bob_token
    bob.join(identifier)
    del bob.api
    alice.leave()
    eventually(
        lambda: pull(server, room=identifier)["events"][-1]["type"] == "user.left", what="the server has told of both")
    chat.start()
    eventually(lambda: bob.in_call(identifier) == ["bob"], what="the state is right after the catch-up")
    bob.leave()
    eventually(lambda: bob.in_call(identifier) == [], what="the call has ended")
    expect_all_taken(server, chat, identifier)
    assert bob.texts(identifier)[0] == "A call has started" and len(bob.texts(identifier)) == 2


def test_a_server_that_was_killed_goes_on_telling(server, chat, people):
    alice, bob, identifier = people
    alice.join(identifier)
    bob.join(identifier)
    eventually(lambda: alice.in_call(identifier) == ["alice", "bob"], what="both are shown")
    before = len(pull(server, room=identifier)["events"])
    server.kill()
    server.start()
    bob.join(identifier)
    # Nobody has left: bob is back, and alice still has time.
    assert bob.in_call(identifier) == ["alice", "bob"]
    eventually(lambda: bob.in_call(identifier) == ["bob"], what="alice did not come back")
    events = pull(server, room=identifier, limit=1000)["events"]
    after = events[before:]
    assert [event["type"] for event in after] == [
        "participant.joined", "participant.left", "participant.left", "user.left"]
    assert after[0]["replaces"] == [after[1]["pid"]]
    assert after[2]["uid"] == after[3]["uid"] == "alice" and after[3]["reason"] == "lost"
    assert len({event["call"] for event in events}) == 1
    expect_all_taken(server, chat, identifier)
    bob.leave()
    eventually(lambda: len(bob.texts(identifier)) == 2, what="the summary is posted")


def test_what_comes_twice_carries_the_same_id(server, chat, people, recorder):
    alice, _, identifier = people
    alice.join(identifier)
    alice.leave()
    eventually(lambda: alice.texts(identifier)[1:], what="the call is over")
    log = [event["id"] for event in pull(server)["events"]]
    eventually(lambda: len(recorder.requests) >= 2 * len(log), what="each event came twice")
    ids = [identifier for identifier, _ in recorder.requests]
    assert [one for index, one in enumerate(ids) if one not in ids[:index]] == log
    bodies = {}
    for identifier, body in recorder.requests:
        assert bodies.setdefault(identifier, body) == body
        assert json.loads(body)["id"] == identifier


def post_event(chat, event, secret=SECRET, age=0, identifier=None):
    body = json.dumps(event).encode()
    identifier = identifier or event["id"]
    at = int(time.time()) - age
    value = hmac.new(secret.encode(), f"{at}.{identifier}.".encode() + body, hashlib.sha256).hexdigest()
    request = urllib.request.Request(chat.url + "/sfu-events", body, {
        "Sfu-Event-Id": event["id"], "Sfu-Signature": f"t={at},v1={'0' * 64},v1={value}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def test_a_wrong_signature_is_refused(chat, people):
    alice, _, identifier = people
    event = {"id": "ev_forged", "type": "user.joined", "room": identifier, "roomSeq": 1, "uid": "mallory"}
    assert post_event(chat, event, secret="another-secret-with-enough-bytes-in-it") == 401
    assert post_event(chat, event, age=600) == 401
    assert post_event(chat, event, identifier="ev_other") == 401
    assert alice.in_call(identifier) == []
    # The same with the right secret is taken, so it was the signature.
    assert post_event(chat, event) == 200
    assert alice.in_call(identifier) == ["mallory"]


def test_the_pull_asks_for_the_scope_and_waits(server, chat, people):
    alice, _, identifier = people
    for token, status in ((server_token(scope="rooms:read"), 403), (server_token(exp=1), 401), ("a.b.c", 401)):
        request = urllib.request.Request(server.url + "/v1/events", headers={"Authorization": f"Bearer {token}"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        assert refused.value.code == status
    cursor = pull(server, after="newest")["next"]
    found = []
    waiting = threading.Thread(target=lambda: found.append(pull(server, after=cursor, wait=25)))
    waiting.start()
    alice.join(identifier)
    waiting.join(30)
    assert found and found[0]["events"][0]["type"] == "room.started" and not found[0]["gap"]
    alice.leave()


def test_only_members_get_a_token(chat, people, sockets):
    _, _, identifier = people
    mallory = Person(chat, "mallory", sockets)
    for path, data in ((f"/api/conversations/{identifier}", None), (f"/api/conversations/{identifier}/call", {})):
        with pytest.raises(urllib.error.HTTPError) as refused:
            mallory.api(path, data)
        assert refused.value.code == 404
