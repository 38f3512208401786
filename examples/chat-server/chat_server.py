#!/usr/bin/env python3
"""A small chat server with calls by sfu: conversations, messages, a call button that rings, and who is in the call.

Standard library only. What every chat server needs is in the first half: the token, the webhook and the catch-up.
Settings are environment variables; see README.md. Signing in here is a name without a password: use your own.
"""

import base64
import hashlib
import hmac
import json
import os
import queue
import secrets
import sqlite3
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SFU_URL = os.environ.get("CHAT_SFU_URL", "http://127.0.0.1:8080").rstrip("/")
KEY_ID = os.environ.get("CHAT_KEY_ID", "chat")
KEY = os.environ["CHAT_KEY"].encode()                                # the secret of keys.chat in sfu.yaml
WEBHOOK_SECRETS = os.environ["CHAT_WEBHOOK_SECRETS"].split(",")      # two while one replaces the other
HOST, PORT = os.environ.get("CHAT_LISTEN", "127.0.0.1:9000").rsplit(":", 1)
DATABASE = os.environ.get("CHAT_DATABASE", "chat.db")

callers = {}                                                         # who called last in a conversation, and when
lock = threading.RLock()                                             # one writer; sqlite is our memory over restarts
db = sqlite3.connect(DATABASE, check_same_thread=False, isolation_level=None)
db.executescript("""
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS conversations (id TEXT PRIMARY KEY, title TEXT, owner TEXT);
    CREATE TABLE IF NOT EXISTS members (conversation TEXT, user TEXT, PRIMARY KEY (conversation, user));
    CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, conversation TEXT, user TEXT, text TEXT, time REAL);
    CREATE TABLE IF NOT EXISTS in_call (conversation TEXT, user TEXT, PRIMARY KEY (conversation, user));
    CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, room TEXT, seq INTEGER, time REAL);
    CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value TEXT);
""")


def remember(key, make):
    """A value that outlives us, made at the first start."""
    db.execute("INSERT OR IGNORE INTO memory VALUES (?, ?)", (key, make()))
    return db.execute("SELECT value FROM memory WHERE key = ?", (key,)).fetchone()[0]


COOKIE_KEY = remember("cookie-key", lambda: secrets.token_hex(32)).encode()


# 1. Tokens: JWT with HS256, no library needed.

def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def jwt(claims, lifetime):
    now = int(time.time())
    claims = {"iss": KEY_ID, "aud": "sfu", "iat": now, "exp": now + lifetime, **claims}
    head = b64(b'{"alg":"HS256","typ":"JWT"}') + "." + b64(json.dumps(claims).encode())
    return head + "." + b64(hmac.new(KEY, head.encode(), hashlib.sha256).digest())


def join_token(conversation, user):
    """Opens the conversation's room for ten minutes; who is in may stay longer."""
    is_owner = conversation["owner"] == user
    grants = {"publish": ["camera", "mic", "screen", "screenAudio"], "subscribe": True, "data": True}
    if is_owner:
        grants["moderate"] = True
    return jwt({"sub": user, "name": user, "room": conversation["id"], "grants": grants,
                "role": "moderator" if is_owner else "speaker"}, 600)


def starts_call(conversation, user):
    """False for who answers somebody's call of a moment ago, of whom no event has said yet that they are in."""
    with lock:
        by, at = callers.get(conversation, (user, 0))
        if by != user and time.time() - at < 60:
            return False
        callers[conversation] = user, time.time()
        return True


# 2. Events: webhooks as they happen, and a pull for what was missed. Both go through `apply`.

def is_signed(header, event_id, body):
    """True where one of our secrets made the signature, at most five minutes ago."""
    parts = [part.partition("=")[::2] for part in (header or "").split(",")]
    at = dict(parts).get("t", "")
    if not at.isdigit() or abs(time.time() - int(at)) > 300:
        return False
    message = f"{at}.{event_id}.".encode() + body
    ours = [hmac.new(secret.encode(), message, hashlib.sha256).hexdigest() for secret in WEBHOOK_SECRETS]
    return any(name == "v1" and hmac.compare_digest(value, our) for name, value in parts for our in ours)


def apply(event):
    """Once per event id, however often it comes, and in order."""
    room, seq, user = event["room"], event["roomSeq"], event.get("uid")
    with lock, db:                                                   # `db` commits, or takes all back
        db.execute("BEGIN")
        last = db.execute("SELECT MAX(seq) FROM events WHERE room = ?", (room,)).fetchone()[0]
        new = db.execute("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?)",
                         (event["id"], room, seq, time.time())).rowcount
        if new:
            if event["type"] == "user.joined":
                db.execute("INSERT OR IGNORE INTO in_call VALUES (?, ?)", (room, user))
            elif event["type"] == "user.left":
                db.execute("DELETE FROM in_call WHERE conversation = ? AND user = ?", (room, user))
            elif event["type"] == "room.started":
                post(room, None, "A call has started")
            elif event["type"] == "call.summary":
                callers.pop(room, None)
                seconds = event["summary"]["durationMs"] // 1000
                names = ", ".join(person.get("name") or person["uid"] for person in event["summary"]["users"])
                post(room, None, f"Call ended after {seconds // 60}:{seconds % 60:02}, with {names}")
    if new:
        tell(room, {"type": "call", "conversation": room, "users": in_call(room)})
    return not new or last is None or seq <= last + 1


def catch_up():
    """Everything since the last pull; what a webhook has told already is passed over by its id."""
    while True:
        cursor = column("SELECT value FROM memory WHERE key = 'cursor'")
        query = urllib.parse.urlencode({"limit": 500, "after": cursor[0] if cursor else ""})
        request = urllib.request.Request(f"{SFU_URL}/v1/events?{query}", headers={
            "Authorization": "Bearer " + jwt({"scope": "events:read"}, 60)})
        with urllib.request.urlopen(request, timeout=30) as response:
            page = json.load(response)
        if page["gap"]:                                              # events are gone: nobody is known to be in a call
            with lock:
                db.execute("DELETE FROM in_call")
        for event in page["events"]:
            apply(event)
        with lock:
            db.execute("INSERT OR REPLACE INTO memory VALUES ('cursor', ?)", (page["next"],))
        if not page["more"]:
            return


def try_to_catch_up():
    try:
        catch_up()
        return True
    except (OSError, ValueError, KeyError) as error:
        print(f"cannot read the events of {SFU_URL}: {error}", flush=True)
        return False


def keep_caught_up():
    """At the start until it works, then now and then: webhooks are given up after a day, and ids may be forgotten."""
    while True:
        time.sleep(600 if try_to_catch_up() else 2)
        with lock:
            db.execute("DELETE FROM events WHERE time < ? AND (room, seq) NOT IN "
                       "(SELECT room, MAX(seq) FROM events GROUP BY room)", (time.time() - 7 * 86400,))


# 3. The chat itself: as small as it gets.

streams = {}                                                         # user -> queues of open event streams


def conversation_of(identifier, user):
    """None where the user is no member."""
    with lock:
        row = db.execute("SELECT id, title, owner FROM conversations JOIN members ON conversation = id "
                         "WHERE id = ? AND user = ?", (identifier, user)).fetchone()
    return row and dict(zip(("id", "title", "owner"), row))


def column(sql, *values):
    with lock:
        return [row[0] for row in db.execute(sql, values)]


def members(identifier):
    return column("SELECT user FROM members WHERE conversation = ?", identifier)


def in_call(identifier):
    return column("SELECT user FROM in_call WHERE conversation = ? ORDER BY user", identifier)


def tell(identifier, message, but=None):
    """To all open pages of a conversation's members."""
    for user in members(identifier):
        for stream in list(streams.get(user, ())) if user != but else ():
            if not stream.full():                                    # too slow: its page will read history again
                stream.put_nowait(message)


def post(identifier, user, text):
    with lock:
        at = time.time()
        key = db.execute("INSERT INTO messages (conversation, user, text, time) VALUES (?, ?, ?, ?)",
                         (identifier, user, text, at)).lastrowid
    tell(identifier, {"type": "message", "conversation": identifier, "id": key, "user": user, "text": text, "time": at})


def conversations(user):
    found = column("SELECT conversation FROM members WHERE user = ?", user)
    return [{**conversation_of(one, user), "members": members(one), "inCall": in_call(one)} for one in found]


def history(identifier):
    with lock:
        rows = db.execute("SELECT id, user, text, time FROM messages WHERE conversation = ? ORDER BY id DESC LIMIT 200",
                          (identifier,)).fetchall()
    return [dict(zip(("id", "user", "text", "time"), row)) for row in reversed(rows)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/":
            return self.answer(200, (Path(__file__).parent / "index.html").read_bytes(), "text/html; charset=utf-8")
        user = self.user()
        if not user:
            return self.answer(401, {"error": "sign in first"})
        if self.path == "/api/me":
            return self.answer(200, {"user": user, "sfu": SFU_URL, "conversations": conversations(user)})
        if self.path == "/api/stream":
            return self.stream(user)
        parts = self.path.split("/")
        if self.path.startswith("/api/conversations/") and len(parts) == 4 and conversation_of(parts[3], user):
            return self.answer(200, history(parts[3]))
        self.answer(404, {"error": "there is nothing here"})

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > 256 * 1024:
            self.close_connection = True
            return self.answer(413, {"error": "too large"})
        body = self.rfile.read(length)
        if self.path == "/sfu-events":
            return self.webhook(body)
        try:
            data = json.loads(body or b"{}")
        except ValueError:
            return self.answer(400, {"error": "not JSON"})
        if self.path == "/api/login":
            name = str(data.get("name", "")).strip()[:64]
            if not name:
                return self.answer(400, {"error": "a name is needed"})
            mac = hmac.new(COOKIE_KEY, name.encode(), hashlib.sha256).hexdigest()
            cookie = f"user={b64(name.encode())}.{mac}; HttpOnly; SameSite=Strict; Path=/"
            return self.answer(200, {"user": name}, cookie=cookie)
        user = self.user()
        if not user:
            return self.answer(401, {"error": "sign in first"})
        if self.path == "/api/conversations":
            return self.answer(200, self.create(user, data))
        parts = self.path.split("/")
        conversation = conversation_of(parts[3], user) if len(parts) == 5 else None
        if conversation and parts[4] == "messages":
            post(conversation["id"], user, str(data.get("text", ""))[:4000])
            return self.answer(200, {})
        if conversation and parts[4] == "call":
            if data.get("ring") and not in_call(conversation["id"]) and starts_call(conversation["id"], user):
                tell(conversation["id"], {"type": "ring", "conversation": conversation["id"], "by": user}, but=user)
            return self.answer(200, {"url": SFU_URL, "room": conversation["id"],
                                     "token": join_token(conversation, user)})
        self.answer(404, {"error": "there is nothing here"})

    def webhook(self, body):
        if not is_signed(self.headers.get("Sfu-Signature"), self.headers.get("Sfu-Event-Id"), body):
            return self.answer(401, {"error": "the signature is wrong"})
        if not apply(json.loads(body)):                              # a number is missing before this one
            threading.Thread(target=try_to_catch_up, daemon=True).start()
        self.answer(200, {})

    def create(self, user, data):
        identifier = "c-" + secrets.token_hex(8)
        people = {user, *(str(name).strip()[:64] for name in data.get("members", [])[:100])} - {""}
        with lock:
            db.execute("INSERT INTO conversations VALUES (?, ?, ?)",
                       (identifier, str(data.get("title", ""))[:100] or "Untitled", user))
            db.executemany("INSERT INTO members VALUES (?, ?)", [(identifier, name) for name in people])
        tell(identifier, {"type": "conversation", "conversation": identifier})
        return {"id": identifier}

    def stream(self, user):
        """Server-sent events."""
        mine = queue.Queue(1000)
        streams.setdefault(user, []).append(mine)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.close_connection = True
        try:
            while True:
                try:
                    line = f"data: {json.dumps(mine.get(timeout=15))}\n\n"
                except queue.Empty:
                    line = ": still here\n\n"
                self.wfile.write(line.encode())
                self.wfile.flush()
        except OSError:
            pass
        finally:
            streams[user].remove(mine)

    def user(self):
        """From the signed cookie."""
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("user")
        name, _, mac = cookie.value.partition(".") if cookie else ("", "", "")
        try:
            name = base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode()
        except ValueError:
            return None
        ours = hmac.new(COOKIE_KEY, name.encode(), hashlib.sha256).hexdigest()
        return name if name and hmac.compare_digest(mac, ours) else None

    def answer(self, status, body, kind="application/json", cookie=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if cookie:
            self.send_header("Set-Cookie", cookie)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    try_to_catch_up()                                                # before anybody looks
    server = ThreadingHTTPServer((HOST, int(PORT)), Handler)
    threading.Thread(target=keep_caught_up, daemon=True).start()
    print(f"Open http://{HOST}:{server.server_port} in a browser.", flush=True)
    server.serve_forever()
