"""What the floor forwards is what a server would: the same payload under the subscriber's own key, number and SSRC."""

import json
import os
import pathlib
import re
import secrets
import signal
import socket
import struct
import subprocess

import pytest
import srtp

SSRC = 0x01020304


class Peer:
    def __init__(self, profile):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        # A packet that never comes fails the test instead of stopping it.
        self.socket.settimeout(20)
        size = 16 + srtp.SALT_BYTES[profile]
        self.keys = secrets.token_bytes(size), secrets.token_bytes(size)
        self.mine, self.theirs = (srtp.SRTP(profile, key) for key in self.keys)

    def record(self, kind):
        address = "%s:%d" % self.socket.getsockname()
        return f"{kind} {address} {self.keys[0].hex()} {self.keys[1].hex()}\n"


class Floor:
    """A running floor and its peers."""

    def __init__(self, binary, folder, subscribers=3, profile=srtp.GCM, options=()):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = probe.getsockname()
        self.publisher = Peer(profile)
        self.subscribers = [Peer(profile) for _ in range(subscribers)]
        keys = folder / "keys.txt"
        text = f"sfu-keys 1\n# a comment\n\nprofile {profile}\nserver {self.address[0]}:{self.address[1]}\n"
        text += self.publisher.record("publisher")
        keys.write_text(text + "".join(one.record("subscriber") for one in self.subscribers))
        self.process = subprocess.Popen(
            [binary, *options, keys],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"},
        )
        listening = json.loads(self.process.stdout.readline())
        self.segments, self.gcm = listening["segmentation"], listening["gcm"]

    def send(self, packet, index):
        self.send_raw(self.publisher.mine.protect(packet, index))

    def send_raw(self, datagram):
        self.publisher.socket.sendto(datagram, self.address)

    def report(self):
        self.process.send_signal(signal.SIGUSR1)
        return json.loads(self.process.stdout.readline())

    def end(self, how=signal.SIGTERM):
        """The last report; leaks and misdeeds make another exit status."""
        self.process.send_signal(how) if how else self.process.stdin.close()
        report = json.loads(self.process.stdout.readline())
        assert self.process.wait() == 0
        return report


@pytest.fixture
def make_floor(floor_binary, tmp_path):
    started = []

    def make(**options):
        started.append(Floor(floor_binary, tmp_path, **options))
        return started[-1]

    yield make
    for floor in started:
        if floor.process.poll() is None:
            floor.process.kill()
            floor.process.wait()


class Stream:
    """What one subscriber got of one SSRC: numbers go on, keys fit."""

    def __init__(self, peer):
        self.peer = peer
        self.index = None
        self.ssrc = None

    def receive(self):
        datagram = self.peer.socket.recv(2000)
        sequence, _, ssrc = struct.unpack_from(">HII", datagram, 2)
        if self.index is None:
            self.index, self.ssrc = sequence, ssrc
        else:
            self.index += (sequence - self.index + 0x8000) % 0x10000 - 0x8000
            assert ssrc == self.ssrc
        return self.peer.theirs.unprotect(datagram, self.index)


def payload_of(packet):
    end = len(packet) - packet[-1] if packet[0] & 0x20 else len(packet)
    return packet[srtp.header_length(packet) : end]


def test_gcm_is_the_servers_own_where_the_cpu_has_it(make_floor):
    flags = re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    has_instructions = flags is not None and {"aes", "pclmulqdq", "ssse3", "sse4_1"} <= set(flags[1].split())
    assert make_floor(subscribers=1).gcm == ("own" if has_instructions else "evp")
    assert make_floor(subscribers=1, options=["--gcm", "evp"]).gcm == "evp"


def test_another_gcm_is_refused(floor_binary, tmp_path):
    done = subprocess.run([floor_binary, "--gcm", "other", tmp_path / "keys.txt"], capture_output=True, text=True)
    assert done.returncode == 2 and "--gcm evp|own" in done.stderr


@pytest.mark.parametrize("profile", [srtp.GCM, srtp.CM])
@pytest.mark.parametrize("options", [(), ("--no-gso",), ("--gcm", "evp")])
def test_everybody_gets_what_was_sent(make_floor, profile, options):
    floor = make_floor(profile=profile, options=options)
    streams = [Stream(peer) for peer in floor.subscribers]
    before = {}
    # Numbers wrap on both sides.
    for number in range(300):
        index = 32_767 if number == 0 else 65_386 + number
        payload = secrets.token_bytes(1 + number)
        packet = srtp.rtp(index, 960 * number, SSRC, payload, extension=b"\x10\x85\x40\x30")
        floor.send(packet, index)
        for stream in streams:
            got = stream.receive()
            assert payload_of(got) == payload
            assert got[1] == packet[1] and got[12:20] == packet[12:20]
            timestamp = struct.unpack_from(">I", got, 4)[0]
            if stream in before:
                place, when, last = before[stream]
                assert stream.index - place == index - last
                assert (timestamp - when) % 2**32 == 960
            before[stream] = stream.index, timestamp, index
            assert stream.ssrc != SSRC
    report = floor.end()
    assert report["received"] == 300 and report["forwarded"] == 900 and report["messages"] == 900
    assert report["unauthentic"] == report["repeated"] == report["malformed"] == 0
    assert report["socket_full"] == report["socket_error"] == 0
    assert report["cpu_ns"] >= 0 and report["user_us"] + report["system_us"] > 0


@pytest.mark.parametrize("profile", [srtp.GCM, srtp.CM])
def test_a_frame_is_one_message(make_floor, profile):
    floor = make_floor(profile=profile, options=["--frame-wait", "10000000"])
    assert floor.segments, "this kernel has no UDP_SEGMENT"
    sizes = [1100, 1101, 1116, 1090, 40]
    packets = [
        srtp.rtp(500 + n, 3000, SSRC, secrets.token_bytes(size), 96, marker=n == len(sizes) - 1)
        for n, size in enumerate(sizes)
    ]
    for n, packet in enumerate(packets):
        floor.send(packet, 500 + n)
    for peer in floor.subscribers:
        stream = Stream(peer)
        for packet in packets:
            assert payload_of(stream.receive()) == packet[12:]
    report = floor.end()
    assert report["forwarded"] == 15
    # The first three go out as long as the third, the last of a message may be shorter, and 40 is another class.
    assert report["messages"] == 6


def test_a_frame_without_its_end_goes_out_all_the_same(make_floor):
    floor = make_floor(subscribers=1)
    stream = Stream(floor.subscribers[0])
    for number in range(3):
        packet = srtp.rtp(7 + number, 3000, SSRC, b"part" * 100, 96)
        floor.send(packet, 7 + number)
        assert payload_of(stream.receive()) == b"part" * 100


def test_more_packets_than_one_frame_holds(make_floor):
    floor = make_floor(subscribers=2)
    streams = [Stream(peer) for peer in floor.subscribers]
    for number in range(200):
        floor.send(srtp.rtp(number, 3000, SSRC, bytes([number]) * 60, 96, marker=number == 199), number)
    for stream in streams:
        assert [payload_of(stream.receive())[0] for _ in range(200)] == list(range(200))
    assert floor.end()["forwarded"] == 400


def test_padding_of_the_publisher_stays(make_floor):
    floor = make_floor(subscribers=1)
    stream = Stream(floor.subscribers[0])
    padded = bytearray(srtp.rtp(1, 0, SSRC, b"x" * 50 + b"\0\0\0\4", 96))
    padded[0] |= 0x20
    longer = srtp.rtp(2, 0, SSRC, b"y" * 60, 96, marker=True)
    floor.send(bytes(padded), 1)
    floor.send(longer, 2)
    assert stream.receive()[12:] == b"x" * 50 + b"\0\0\0\4"
    assert payload_of(stream.receive()) == b"y" * 60


def test_two_streams_have_numbers_of_their_own(make_floor):
    floor = make_floor(subscribers=2)
    for number in range(20):
        floor.send(srtp.rtp(100 + number, 0, SSRC, b"a" * 30), 100 + number)
        floor.send(srtp.rtp(900 + number, 0, SSRC + 1, b"v" * 30, 96, marker=True), 900 + number)
        for peer in floor.subscribers:
            streams = peer.__dict__.setdefault("streams", {})
            for _ in range(2):
                datagram = peer.socket.recv(2000)
                sequence, _, ssrc = struct.unpack_from(">HII", datagram, 2)
                packet = peer.theirs.unprotect(datagram, sequence)
                assert payload_of(packet) == (b"a" if packet[1] & 127 == 111 else b"v") * 30
                assert streams.setdefault(ssrc, sequence - number) == sequence - number
            assert len(streams) == 2


@pytest.mark.parametrize("profile", [srtp.GCM, srtp.CM])
def test_what_is_not_the_publishers_goes_nowhere(make_floor, profile):
    floor = make_floor(subscribers=1, profile=profile)
    good = floor.publisher.mine.protect(srtp.rtp(1, 0, SSRC, b"one"), 1)
    floor.send_raw(good)
    floor.send_raw(good)
    other = floor.publisher.mine.protect(srtp.rtp(3, 0, SSRC, b"three"), 3)
    for broken in range(len(other)):
        floor.send_raw(other[:broken] + bytes([other[broken] ^ 1]) + other[broken + 1 :])
    for length in range(len(other)):
        floor.send_raw(other[:length])
    floor.send_raw(b"\x80\xc8" + bytes(60))
    floor.send_raw(b"\x90\x6f" + bytes(10) + b"\xbe\xde\xff\xff" + bytes(40))
    floor.send_raw(bytes(60_000))
    floor.send(srtp.rtp(2, 0, SSRC, b"two"), 2)
    stream = Stream(floor.subscribers[0])
    assert payload_of(stream.receive()) == b"one"
    assert payload_of(stream.receive()) == b"two"
    report = floor.end()
    assert report["forwarded"] == 2
    assert report["repeated"] >= 1 and report["unauthentic"] > 20 and report["malformed"] > 12
    assert report["repeated"] + report["unauthentic"] + report["malformed"] + 2 == report["received"]


def test_without_sends_everything_else_is_done(make_floor):
    floor = make_floor(options=["--no-send"])
    for number in range(50):
        floor.send(srtp.rtp(number, 0, SSRC, b"x" * 100), number)
    while (report := floor.report())["received"] < 50:
        pass
    assert report["forwarded"] == 150 and report["send_calls"] == 0
    for peer in floor.subscribers:
        peer.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.socket.recv(2000)
    floor.end()


def test_it_ends_with_its_input(make_floor):
    floor = make_floor(options=["--until-eof"])
    assert floor.end(how=None)["forwarded"] == 0


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("", "no `server`"),
        ("profile AEAD_AES_128_GCM\n", ":1: the file begins"),
        ("sfu-keys 2\n", ":1: another version"),
        ("sfu-keys 1\nsfu-keys 1\n", ":2: the file begins"),
        ("sfu-keys 1\nprofile AES\n", ":2: unknown profile"),
        ("sfu-keys 1\nserver localhost:1\n", ":2: no address"),
        ("sfu-keys 1\nserver 127.0.0.1:0\n", ":2: no address"),
        ("sfu-keys 1\nserver [::1]:70000\n", ":2: no address"),
        ("sfu-keys 1\nserver 127.0.0.1:5 6\n", ":2: one value"),
        ("sfu-keys 1\nserver 127.0.0.1:5\n", "no `publisher`"),
        ("sfu-keys 1\nserver 127.0.0.1:5\npublisher [::1]:7 00 00\n", ":3: another address family"),
        ("sfu-keys 1\nserver 127.0.0.1:5\npublisher 127.0.0.1:7 00 00\n", ":3: first key"),
        ("sfu-keys 1\nserver 127.0.0.1:5\npublisher 127.0.0.1:7 {key} zz\n", ":3: second key"),
        ("sfu-keys 1\nserver 127.0.0.1:5\npublisher 127.0.0.1:7 {key} {key}\n" * 1, "no `subscriber`"),
        ("sfu-keys 1\n" + "x" * 400 + "\n", ":2: longer than 300"),
        ("sfu-keys 1\na b c d e\n", ":2: too many fields"),
        ("sfu-keys 1\nwhat ever\n", ":2: unknown record"),
    ],
)
def test_a_file_that_is_wrong_is_refused(floor_binary, tmp_path, text, complaint):
    key = "0123456789abcdef0123456789ABCDEF0123456789abcdef01234567"
    file = tmp_path / "keys.txt"
    file.write_text(text.replace("{key}", key))
    done = subprocess.run([floor_binary, file], capture_output=True, text=True)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert key not in done.stderr


def test_a_file_that_is_not_there_is_refused(floor_binary, tmp_path):
    done = subprocess.run([floor_binary, tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 1 and "No such file" in done.stderr
    assert subprocess.run([floor_binary], capture_output=True).returncode == 2


def test_handshakes_alone_are_measured(floor_binary):
    binary = floor_binary.with_name("handshakes-sanitized")
    done = subprocess.run([binary, "3"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 0
    for arguments in ([], ["0"], ["3x"]):
        done = subprocess.run([binary, *arguments], capture_output=True, text=True)
        assert done.returncode == 2 and "usage" in done.stderr
