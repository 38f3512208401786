"""A Janus of this machine with its VideoRoom alone, and WHIP and WHEP in front of it, so that the load client loads it
as it loads any other server. Nothing stands between them once media flows."""

import http.client
import http.server
import itertools
import json
import pathlib
import queue
import shutil
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import sdp

VIDEOROOM = "janus.plugin.videoroom"
# A machine under load gathers and negotiates slowly; who waits longer than this waits for nothing.
TIMEOUT = 30


class JanusError(Exception):
    pass


def binary():
    """The path of the program, None where it is not installed."""
    return shutil.which("janus")


def version():
    """As it says itself, "1.1.2"."""
    text = subprocess.run([binary(), "--help"], capture_output=True, text=True, check=True).stdout
    line = next((line for line in text.splitlines() if line.startswith("Janus version:")), "")
    return line.partition("(")[2].rstrip(")") or "unknown"


def modules():
    """Where the distribution keeps plugins and transports."""
    found = sorted(pathlib.Path("/usr/lib").glob("*/janus")) + sorted(pathlib.Path("/usr/lib").glob("janus"))
    if not found:
        raise JanusError("/usr/lib has no folder of Janus plugins")
    return found[0]


def write_configuration(folder, address, http_port, event_loops, ports=(20000, 26000)):
    """Everything that Janus reads, in `folder`: VideoRoom, its HTTP interface on loopback, ICE-lite on one address."""
    source = modules()
    for kind, names in {
        "plugins": ["libjanus_videoroom.so"],
        "transports": ["libjanus_http.so"],
        "events": [],
        "loggers": [],
    }.items():
        (folder / kind).mkdir()
        for name in names:
            (folder / kind / name).symlink_to(source / kind / name)
    (folder / "janus.jcfg").write_text(
        f"""general: {{
    configs_folder = "{folder}"
    plugins_folder = "{folder}/plugins"
    transports_folder = "{folder}/transports"
    events_folder = "{folder}/events"
    loggers_folder = "{folder}/loggers"
    debug_level = 2
    event_loops = {event_loops}
    session_timeout = 0
    hide_dependencies = true
}}
media: {{
    ipv6 = false
    rtp_port_range = "{ports[0]}-{ports[1]}"
}}
nat: {{
    ice_lite = true
    full_trickle = false
    ice_enforce_list = "{address}"
}}
"""
    )
    (folder / "janus.transport.http.jcfg").write_text(
        f"""general: {{
    json = "compact"
    base_path = "/janus"
    http = true
    port = {http_port}
    ip = "127.0.0.1"
    https = false
}}
admin: {{
    admin_http = false
    admin_https = false
}}
"""
    )
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: {\n}\n")


class Janus:
    """A running Janus and one session of its API."""

    def __init__(self, folder, address, http_port, event_loops):
        """`folder`: empty, its owner removes it. Raises JanusError where it does not come up."""
        write_configuration(folder, address, http_port, event_loops)
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [binary(), "--configs-folder", folder, "--config", folder / "janus.jcfg", "--disable-colors"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.pid = self.process.pid
        self._url = f"http://127.0.0.1:{http_port}/janus"
        self._transactions = itertools.count(1)
        self._waiting = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        try:
            self._await_start()
            self._session = self._post("", {"janus": "create"})["data"]["id"]
        except BaseException:
            self.stop()
            raise
        self._poller = threading.Thread(target=self._poll, daemon=True)
        self._poller.start()

    def _await_start(self):
        deadline = time.monotonic() + TIMEOUT
        while True:
            if self.process.poll() is not None:
                raise JanusError(f"janus has ended: {self.log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(self._url + "/info", timeout=TIMEOUT):
                    return
            except (urllib.error.URLError, ConnectionError) as error:
                if time.monotonic() > deadline:
                    raise JanusError(f"janus does not answer: {error}") from error
                time.sleep(0.1)

    def stop(self):
        if hasattr(self, "_ended"):
            self._ended.set()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    # ---- its API

    def _post(self, path, message):
        message["transaction"] = message.get("transaction") or f"t{next(self._transactions)}"
        request = urllib.request.Request(
            self._url + path, json.dumps(message).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
            answer = json.load(response)
        if answer.get("janus") == "error":
            raise JanusError(answer["error"].get("reason", "unknown error"))
        return answer

    def _poll(self):
        """Events come as answers of requests that wait for them."""
        while not self._ended.is_set():
            try:
                with urllib.request.urlopen(f"{self._url}/{self._session}?maxev=20", timeout=60) as response:
                    events = json.load(response)
            except (OSError, ValueError, http.client.HTTPException):
                self._ended.wait(0.2)
                continue
            for event in events if isinstance(events, list) else [events]:
                with self._lock:
                    waiting = self._waiting.pop(event.get("transaction"), None)
                if waiting:
                    waiting.put(event)

    def attach(self):
        return self._post(f"/{self._session}", {"janus": "attach", "plugin": VIDEOROOM})["data"]["id"]

    def detach(self, handle):
        self._post(f"/{self._session}/{handle}", {"janus": "detach"})

    def end_of_candidates(self, handle):
        """The client names none: it is known by its checks."""
        self._post(f"/{self._session}/{handle}", {"janus": "trickle", "candidate": {"completed": True}})

    def request(self, handle, body, jsep=None):
        """(what the plugin says, its SDP or None); waits for the event where one is promised."""
        transaction = f"t{next(self._transactions)}"
        message = {"janus": "message", "transaction": transaction, "body": body}
        if jsep:
            message["jsep"] = {"type": jsep[0], "sdp": jsep[1]}
        waiting = queue.Queue(1)
        with self._lock:
            self._waiting[transaction] = waiting
        try:
            answer = self._post(f"/{self._session}/{handle}", message)
            if answer["janus"] == "ack":
                answer = waiting.get(timeout=TIMEOUT)
        except queue.Empty:
            raise JanusError(f"janus does not answer {body['request']}") from None
        finally:
            with self._lock:
                self._waiting.pop(transaction, None)
        if answer.get("janus") == "error":
            raise JanusError(answer["error"].get("reason", "unknown error"))
        said = answer["plugindata"]["data"]
        if "error" in said:
            raise JanusError(said["error"])
        return said, answer.get("jsep", {}).get("sdp")


class Rooms:
    """WHIP's and WHEP's words in those of the VideoRoom."""

    def __init__(self, janus):
        self.janus = janus
        self._lock = threading.Lock()
        self._rooms = {}
        self._feeds = {}
        self._manager = janus.attach()

    def _room(self, name):
        with self._lock:
            if name not in self._rooms:
                number = len(self._rooms) + 1
                self.janus.request(
                    self._manager,
                    {"request": "create", "room": number, "publishers": 1000, "videocodec": "vp8,h264", "bitrate": 0},
                )
                self._rooms[name] = number
            return self._rooms[name]

    def publish(self, room, participant, offer):
        """(handle, answer)."""
        number, handle = self._room(room), self.janus.attach()
        joined, _ = self.janus.request(handle, {"request": "join", "ptype": "publisher", "room": number})
        # Offered both roles, Janus takes the one of the client.
        active = offer.replace("a=setup:actpass", "a=setup:active")
        _, answer = self.janus.request(handle, {"request": "publish"}, ("offer", active))
        if not answer:
            raise JanusError("the publisher was not answered")
        self.janus.end_of_candidates(handle)
        with self._lock:
            self._feeds[room, participant] = joined["id"]
        return handle, answer

    def subscribe(self, room, participant, offer):
        """(handle, answer); None: there is no such publisher yet."""
        with self._lock:
            feed = self._feeds.get((room, participant))
        if feed is None:
            return None
        handle = self.janus.attach()
        join = {"request": "join", "ptype": "subscriber", "room": self._room(room), "streams": [{"feed": feed}]}
        _, theirs = self.janus.request(handle, join)
        if not theirs:
            raise JanusError("the subscriber got no offer")
        for_server, for_client = sdp.answers(theirs, offer)
        self.janus.request(handle, {"request": "start"}, ("answer", for_server))
        self.janus.end_of_candidates(handle)
        return handle, for_client

    def leave(self, handle):
        self.janus.detach(handle)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        parts = [urllib.parse.unquote(part) for part in self.path.strip("/").split("/")]
        length = int(self.headers.get("Content-Length") or 0)
        if len(parts) != 3 or parts[0] not in ("whip", "whep") or not 0 < length <= 1 << 20:
            return self._answer(404)
        offer = self.rfile.read(length).decode()
        act = self.server.rooms.publish if parts[0] == "whip" else self.server.rooms.subscribe
        try:
            made = act(parts[1], parts[2], offer)
        except (JanusError, sdp.Mismatch, OSError) as error:
            return self._answer(502, str(error))
        if not made:
            return self._answer(409)
        handle, answer = made
        self._answer(201, answer, {"Content-Type": "application/sdp", "Location": f"/handles/{handle}"})

    def do_DELETE(self):
        parts = self.path.strip("/").split("/")
        if len(parts) != 2 or parts[0] != "handles" or not parts[1].isdigit():
            return self._answer(404)
        try:
            self.server.rooms.leave(int(parts[1]))
        except (JanusError, OSError) as error:
            return self._answer(502, str(error))
        self._answer(200)

    def _answer(self, status, text="", headers=None):
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Bridge:
    """WHIP and WHEP on loopback: `/whip/{room}/{participant}` and `/whep/{room}/{participant}`."""

    def __init__(self, rooms, port=0):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        self._server.rooms = rooms
        self.url = "http://127.0.0.1:%d" % self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
