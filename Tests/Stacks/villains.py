"""Clients that nobody wants: they read nothing, or a byte a second, or send rubbish, or send without end.

A program of its own, so that what it does costs the process that measures nothing but CPU:
`python villains.py HOST PORT ROOM KIND=COUNT…`. Each says a line when it is in the room and one when its socket is gone,
`KIND in` and `KIND out CODE`; all end when standard input does.
"""

import json
import os
import re
import socket
import struct
import sys
import threading
import time

from sockets import frame, upgrade

FLOOD = {
    "pings": frame(9) * 5000,
    "pongs": frame(10, b"x" * 125) * 500,
    # A message that never ends.
    "fragments": frame(0, fin=False) * 5000,
    "silence": frame(1, b'{"type":"ack","ack":0}') * 1000,
}
ended = threading.Event()


def say(*words):
    try:
        # One write, so that the threads' lines do not mix.
        os.write(1, (" ".join(map(str, words)) + "\n").encode())
    except OSError:
        # Whoever listened has gone.
        os._exit(0)


class Villain:
    def __init__(self, kind, number, host, port, room):
        self.kind, self.room = kind, room
        self.user = f"{kind}-{number}"
        self.socket = socket.socket()
        if kind in ("deaf", "mute", "drip"):
            # What its kernel takes in for it is not read either.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self.socket.connect((host, port))
        self.stream = self.socket.makefile("rb", buffering=0 if kind in ("deaf", "mute", "drip") else 65_536)

    def run(self):
        code = None
        try:
            self.socket.sendall(upgrade(self.room))
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                one = self.stream.read(1)
                if not one:
                    raise OSError("no upgrade")
                head += one
            self.socket.sendall(frame(1, json.dumps({"type": "hello", "v": "1.0", "data": {
                "user": {"uid": self.user, "name": self.user}, "caps": ["batch"]}}).encode()))
            say(self.kind, "in")
            code = getattr(self, self.kind, self.flood)()
        except OSError:
            pass
        say(self.kind, "out", code or 0)

    def wait_for_end(self, every=0.2):
        """Until the connection is gone, without reading any of it."""
        while not ended.wait(every):
            state = self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
            # ESTABLISHED is 1; what the server has ended leaves it.
            if state != 1:
                return

    def mute(self):
        self.wait_for_end()

    def deaf(self):
        """Not dead: it speaks, and does not listen."""
        def speak():
            while not ended.wait(2):
                try:
                    self.socket.sendall(frame(10))
                except OSError:
                    return
        threading.Thread(target=speak, daemon=True).start()
        self.wait_for_end()

    def drip(self):
        while not ended.wait(1):
            self.socket.sendall(frame(10))
            if not self.stream.read(1):
                return

    def garbage(self):
        self.socket.sendall(frame(1, os.urandom(20).hex().encode()))
        return self.code()

    def noise(self):
        self.socket.sendall(b"\xff" + os.urandom(500))
        return self.code()

    def requests(self):
        """Each of them is allowed, and all of them are too many."""
        self.drain()
        number = 0
        while not ended.is_set():
            text = b"".join(frame(1, b'{"type":"ping","id":%d,"data":{"t":1}}' % (number + i + 1)) for i in range(100))
            number += 100
            self.socket.sendall(text)

    def flood(self):
        self.drain()
        if self.kind == "fragments":
            self.socket.sendall(frame(1, fin=False))
        while not ended.is_set():
            self.socket.sendall(FLOOD[self.kind])

    def drain(self):
        def read():
            try:
                while self.socket.recv(1 << 16):
                    pass
            except OSError:
                pass
        threading.Thread(target=read, daemon=True).start()

    def code(self):
        while True:
            head = self.stream.read(2)
            if len(head) < 2:
                return None
            length = head[1] & 0x7F
            if length == 126:
                length = struct.unpack("!H", self.stream.read(2))[0]
            elif length == 127:
                length = struct.unpack("!Q", self.stream.read(8))[0]
            body = b""
            while len(body) < length:
                part = self.stream.read(length - len(body))
                if not part:
                    return None
                body += part
            if head[0] & 0x0F == 8:
                return struct.unpack_from("!H", body)[0]


def main():
    host, port, room, *kinds = sys.argv[1:]
    for kind, count in (re.fullmatch(r"(\w+)=(\d+)", one).groups() for one in kinds):
        for number in range(int(count)):
            villain = Villain(kind, f"{os.getpid()}-{number}", host, int(port), room)
            threading.Thread(target=villain.run, daemon=True).start()
    sys.stdin.read()
    ended.set()
    time.sleep(0.1)
    os._exit(0)


if __name__ == "__main__":
    main()
