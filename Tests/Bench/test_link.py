"""The link as a program: datagrams go both ways, clients stay apart, reports say what happened, wrong orders end it."""

import json
import os
import socket
import struct
import subprocess

import pytest
from conftest import BENCH

LINK = BENCH / "link"


@pytest.fixture(scope="session")
def binary():
    """Watches itself: leaks and misdeeds fail it as well."""
    subprocess.run(["make", "--silent", "-C", LINK, "tested"], check=True)
    return BENCH / ".build/link/link-sanitized"


def peer():
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind(("127.0.0.1", 0))
    # A packet that never comes fails the test instead of stopping it.
    one.settimeout(20)
    return one


class Link:
    def __init__(self, binary, *options):
        self.process = subprocess.Popen(
            [binary, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"})
        self.reports = []

    def order(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def read(self, wanted):
        """The next answer that has this name in it; reports on the way are kept."""
        while True:
            line = json.loads(self.process.stdout.readline())
            if "at" in line:
                self.reports.append(line)
            if wanted in line:
                return line

    def flow(self, server, kinds=""):
        self.order(f"flow 127.0.0.1:{server.getsockname()[1]} {kinds}")
        return "127.0.0.1", self.read("flow")["port"]

    def total(self, way, flow, kind, what):
        return [sum(one[way]["flows"][flow].get(kind, {}).get(what, (0, 0))[index]
                    for one in self.reports if len(one[way]["flows"]) > flow) for index in range(2)]

    def await_total(self, way, flow, kind, what, packets):
        """Reads reports until they tell of so many packets."""
        while self.total(way, flow, kind, what)[1] < packets:
            self.read("at")
        return self.total(way, flow, kind, what)

    def end(self):
        self.process.stdin.close()
        self.process.stdout.read()
        assert self.process.wait() == 0


@pytest.fixture
def make_link(binary):
    made = []

    def make(*options):
        made.append(Link(binary, *options))
        return made[-1]
    yield make
    for one in made:
        if one.process.poll() is None:
            one.end()


def rtp(payload_type, size=100):
    return struct.pack("!BBHII", 0x80, payload_type, 1, 2, 3) + bytes(size - 12)


def test_datagrams_go_both_ways_unchanged(make_link):
    link, server, client = make_link(), peer(), peer()
    address = link.flow(server)
    for size in (0, 1, 1200, 9000):
        sent = os.urandom(size)
        client.sendto(sent, address)
        got, upstream = server.recvfrom(65536)
        assert got == sent
        server.sendto(sent[::-1], upstream)
        assert client.recvfrom(65536) == (sent[::-1], address)


def test_the_server_tells_clients_apart_and_answers_find_them(make_link):
    link, server = make_link(), peer()
    address, clients = link.flow(server), [peer() for _ in range(3)]
    seen = []
    for index, client in enumerate(clients):
        client.sendto(b"%d" % index, address)
        seen.append(server.recvfrom(100)[1])
    assert len(set(seen)) == 3
    for index in reversed(range(3)):
        server.sendto(b"to %d" % index, seen[index])
    for index, client in enumerate(clients):
        assert client.recv(100) == b"to %d" % index
        # From the same address again it is the same client.
        client.sendto(b"again", address)
        assert server.recvfrom(100)[1] == seen[index]


def test_flows_have_servers_and_ports_of_their_own(make_link):
    link, servers, client = make_link(), [peer(), peer()], peer()
    addresses = [link.flow(server) for server in servers]
    assert addresses[0] != addresses[1]
    for index in range(2):
        client.sendto(b"%d" % index, addresses[index])
        assert servers[index].recv(100) == b"%d" % index


def test_more_clients_than_there_is_room_for_are_not_served(make_link):
    link, server = make_link(), peer()
    address = link.flow(server)
    for index in range(17):
        client = peer()
        client.sendto(b"%d" % index, address)
        if index < 16:
            assert server.recv(100) == b"%d" % index
    clients_first = peer()
    clients_first.sendto(b"one more", address)
    server.setblocking(False)
    with pytest.raises(BlockingIOError):
        server.recv(100)


def test_packets_are_told_apart_by_what_is_in_clear(make_link):
    link, server, client = make_link(), peer(), peer()
    address = link.flow(server, "audio=111,63 video=96 rtx=97")
    packets = {
        "audio": [rtp(111), rtp(63), rtp(111 | 0x80)], "video": [rtp(96)], "rtx": [rtp(97 | 0x80)], "rtp": [rtp(100)],
        "rtcp": [rtp(200), rtp(206)], "control": [b"\0\1" + bytes(18), b"\x16\xfe\xfd" + bytes(50)], "other": [b"x", b"\xff" * 9]}
    for kind in packets.values():
        for one in kind:
            client.sendto(one, address)
            server.recv(2000)
    for kind, sent in packets.items():
        # On the link there are 28 bytes more of each.
        whole = [sum(map(len, sent)) + 28 * len(sent), len(sent)]
        assert link.await_total("up", 0, kind, "delivered", len(sent)) == whole
        assert link.total("up", 0, kind, "offered") == whole


def test_what_the_queue_has_no_room_for_is_dropped_and_reported(make_link):
    """At 1 bit/s nothing that waits leaves: two of five fit."""
    link, server, client = make_link("--up", "rate=1 queue=300"), peer(), peer()
    address = link.flow(server, "audio=111")
    for _ in range(5):
        client.sendto(rtp(111), address)
    assert link.await_total("up", 0, "audio", "dropped", 3) == [3 * 128, 3]
    assert link.total("up", 0, "audio", "delivered") == [0, 0]
    link.order("up rate=0")
    assert [len(server.recv(200)) for _ in range(2)] == [100, 100]


def test_each_way_has_its_own_losses(make_link):
    link, server, client = make_link("--down", "loss=1"), peer(), peer()
    address = link.flow(server, "audio=111")
    client.sendto(rtp(111), address)
    _, upstream = server.recvfrom(200)
    server.sendto(rtp(111), upstream)
    assert link.await_total("down", 0, "audio", "lost", 1) == [128, 1]


def test_a_seed_loses_the_same_datagrams_again(make_link):
    def run(seed):
        link, server, client = make_link("--up", "loss=0.3", "--seed", str(seed)), peer(), peer()
        address, came = link.flow(server), []
        for index in range(200):
            client.sendto(struct.pack("!BBI", 0x80, 100, index), address)
        link.await_total("up", 0, "rtp", "offered", 200)
        link.order("up loss=0")
        link.flow(server)
        # Nothing is lost any more: what comes before this one is what survived.
        client.sendto(b"end", address)
        while (got := server.recv(100)) != b"end":
            came.append(struct.unpack("!BBI", got)[2])
        return came
    first, again, other = run(5), run(5), run(6)
    assert first == again != other
    assert 100 < len(first) < 180


def test_the_schedule_runs_from_the_start(make_link, tmp_path):
    schedule = tmp_path / "schedule"
    schedule.write_text("# a comment\n\n0 down rate=1000000\n0.25 down rate=2000000 delay-ms=5\n0.25 up rate=3000000\n")
    link = make_link("--schedule", str(schedule))
    assert link.read("at")["down"]["rate"] == 0
    link.order("start")
    started = link.read("started")["started"]
    link.reports.clear()
    while not link.reports or link.reports[-1]["down"]["rate"] != 2_000_000:
        link.read("at")
    changed = link.reports[-1]
    assert changed["up"]["rate"] == 3_000_000
    before = [one for one in link.reports if one["at"] < started + 0.25]
    assert all(one["down"]["rate"] == 1_000_000 for one in before)
    assert round((changed["at"] - started) / 0.1, 3) == int(round((changed["at"] - started) / 0.1))


def test_a_transfer_shares_the_way_down(make_link):
    link = make_link("--down", "rate=2000000 queue-ms=100 delay-ms=5", "--up", "delay-ms=5")
    link.order("transfer on")
    while sum(one["down"].get("transfer", {}).get("transfer", {}).get("dropped", (0, 0))[1] for one in link.reports) == 0:
        link.read("at")
    delivered = max(one["down"]["transfer"]["transfer"]["delivered"][0] for one in link.reports if "transfer" in one["down"]["transfer"])
    assert 0 < delivered <= 2_000_000 / 8 / 10 + 2 * 1500


@pytest.mark.parametrize("order", [
    "fly", "down speed=1", "up rate=x", "flow", "flow localhost:1", "flow 127.0.0.1:0", "flow 127.0.0.1:70000",
    "flow 127.0.0.1:1 audio=128", "flow 127.0.0.1:1 audio=", "flow 127.0.0.1:1 text=1", "transfer", "transfer maybe", "x" * 600])
def test_an_order_that_means_nothing_ends_it_with_a_word(make_link, order):
    link = make_link()
    link.order(order)
    assert link.read("error")["error"]
    assert link.process.wait() == 2


@pytest.mark.parametrize("text", ["1", "x down rate=1", "2 down rate=1\n1 down rate=2", "-1 down rate=1"])
def test_a_schedule_that_means_nothing_is_refused(make_link, tmp_path, text):
    schedule = tmp_path / "schedule"
    schedule.write_text(text + "\n")
    link = make_link("--schedule", str(schedule))
    assert "schedule" in link.read("error")["error"]
    assert link.process.wait() == 2


def test_too_many_flows_are_refused(make_link):
    link, server = make_link(), peer()
    for _ in range(16):
        link.flow(server)
    link.order("flow 127.0.0.1:1")
    assert "16" in link.read("error")["error"]
    assert link.process.wait() == 2
