"""What is loaded in front of a program holds its media back, counts it as sent, and lets all else pass."""

import ctypes
import os
import socket
import subprocess
import sys

import pytest

RTP, RTCP, STUN, DTLS = (bytes([first, second]) + bytes(40) for first, second in ((128, 111), (128, 201), (0, 1), (22, 254)))

SENDER = """
import ctypes, socket, sys
class Vector(ctypes.Structure): _fields_ = [("base", ctypes.c_char_p), ("length", ctypes.c_size_t)]
class Header(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(Vector)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]
class Message(ctypes.Structure): _fields_ = [("header", Header), ("length", ctypes.c_uint)]
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect(("127.0.0.1", int(sys.argv[1])))
datagrams = [bytes.fromhex(one) for one in sys.argv[2:]]
messages = (Message * len(datagrams))()
for message, datagram in zip(messages, datagrams):
    message.header.iov = ctypes.pointer(Vector(datagram, len(datagram)))
    message.header.iovlen = 1
first, calls = 0, []
while first < len(datagrams):
    rest = ctypes.byref(messages, first * ctypes.sizeof(Message))
    sent = ctypes.CDLL(None).sendmmsg(out.fileno(), rest, len(datagrams) - first, 0)
    assert sent > 0
    calls.append(sent)
    first += sent
print(calls, [message.length for message in messages])
"""


@pytest.fixture
def library(floor_binary):
    from conftest import FLOOR

    subprocess.run(["make", "--silent", "-C", FLOOR], check=True)
    return FLOOR.parent / ".build" / "floor" / "unsent.so"


@pytest.mark.parametrize("gate, arrives", [(b"\0", [RTP, STUN, DTLS, RTP, RTCP, RTP]), (b"\1", [STUN, DTLS, RTCP])])
def test_media_goes_nowhere_while_the_gate_is_shut(library, tmp_path, gate, arrives):
    assert ctypes.sizeof(ctypes.c_size_t) == 8
    (tmp_path / "gate").write_bytes(gate)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(20)
        datagrams = [RTP, STUN, DTLS, RTP, RTCP, RTP]
        done = subprocess.run(
            [sys.executable, "-c", SENDER, str(sink.getsockname()[1]), *(one.hex() for one in datagrams)],
            env={**os.environ, "LD_PRELOAD": str(library), "UNSENT": str(tmp_path / "gate")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        # Every message is said to have gone out, whole.
        assert done.stdout.endswith(f"{[len(one) for one in datagrams]}\n")
        assert [sink.recv(2000) for _ in arrives] == arrives
        sink.setblocking(False)
        with pytest.raises(BlockingIOError):
            sink.recv(2000)
