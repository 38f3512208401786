"""The link's rate, queue, delay and losses, on virtual time: the parts without sockets, called as a library."""

import ctypes
import subprocess

import pytest
from conftest import BENCH

MS = 1_000_000
SECOND = 1000 * MS
NEVER = 2**63 - 1
LINK = BENCH / "link"


class Settings(ctypes.Structure):
    _fields_ = [
        ("rate", ctypes.c_int64), ("queue_bytes", ctypes.c_int64), ("queue_ms", ctypes.c_double),
        ("delay", ctypes.c_int64), ("jitter", ctypes.c_int64), ("reorder", ctypes.c_bool),
        ("loss", ctypes.c_double), ("to_bad", ctypes.c_double), ("to_good", ctypes.c_double),
        ("loss_good", ctypes.c_double), ("loss_bad", ctypes.c_double)]


class Packet(ctypes.Structure):
    _fields_ = [
        ("next", ctypes.c_void_p), ("entered", ctypes.c_int64), ("arrives", ctypes.c_int64), ("order", ctypes.c_uint64),
        ("size", ctypes.c_int32), ("length", ctypes.c_int32), ("flow", ctypes.c_uint8), ("kind", ctypes.c_uint8),
        ("tag", ctypes.c_uint32)]


class Amount(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint64), ("packets", ctypes.c_uint64)]


class Count(ctypes.Structure):
    _fields_ = [(name, Amount) for name in ("offered", "delivered", "dropped", "lost")]


@pytest.fixture(scope="session")
def library():
    subprocess.run(["make", "--silent", "-C", LINK, "tested"], check=True)
    found = ctypes.CDLL(str(BENCH / ".build/link/link.so"))
    pointer, time = ctypes.c_void_p, ctypes.c_int64
    for name, result, arguments in [
        ("path_new", pointer, [ctypes.POINTER(Settings), ctypes.c_uint64]), ("path_free", None, [pointer]),
        ("path_set", None, [pointer, ctypes.POINTER(Settings), time]), ("path_put", ctypes.c_bool, [pointer, pointer, time]),
        ("path_take", pointer, [pointer, time]), ("path_next", time, [pointer]),
        ("path_counted", ctypes.POINTER(Count), [pointer, ctypes.c_int, ctypes.c_int]),
        ("path_mean_wait", time, [pointer]), ("path_longest_wait", time, [pointer]), ("path_forget", None, [pointer]),
        ("settings_read", ctypes.c_char_p, [ctypes.POINTER(Settings), ctypes.c_char_p]),
        ("transfer_new", pointer, [time]), ("transfer_free", None, [pointer]),
        ("transfer_send", ctypes.c_bool, [pointer, time, ctypes.POINTER(ctypes.c_uint32)]),
        ("transfer_arrived", None, [pointer, ctypes.c_uint32, time]), ("transfer_advance", None, [pointer, time]),
        ("transfer_next", time, [pointer]),
    ]:
        function = getattr(found, name)
        function.restype, function.argtypes = result, arguments
    return found


_libc = ctypes.CDLL(None)
_libc.calloc.restype = ctypes.c_void_p
_libc.free.argtypes = [ctypes.c_void_p]


class Path:
    def __init__(self, library, seed=1, **settings):
        self.library = library
        self.settings = Settings(**({"queue_ms": 300} | settings))
        self.pointer = library.path_new(self.settings, seed)

    def set(self, now, **changes):
        for name, value in changes.items():
            setattr(self.settings, name, value)
        self.library.path_set(self.pointer, self.settings, now)

    def put(self, now, size, tag=0, flow=0, kind=0):
        """False: it found the queue full."""
        memory = _libc.calloc(1, ctypes.sizeof(Packet))
        packet = Packet.from_address(memory)
        packet.size, packet.tag, packet.flow, packet.kind = size, tag, flow, kind
        return self.library.path_put(self.pointer, memory, now)

    def take(self, until):
        """(when, tag) of all that arrive until then; each at its own time."""
        found = []
        while (now := self.library.path_next(self.pointer)) <= until:
            while memory := self.library.path_take(self.pointer, now):
                found.append((now, Packet.from_address(memory).tag))
                _libc.free(memory)
        return found

    def count(self, flow=0, kind=0):
        found = self.library.path_counted(self.pointer, flow, kind).contents
        return {name: (getattr(found, name).bytes, getattr(found, name).packets) for name, _ in Count._fields_}


@pytest.fixture
def make(library):
    made = []

    def path(**settings):
        made.append(Path(library, **settings))
        return made[-1]
    yield path
    for one in made:
        library.path_free(one.pointer)


# ---- rate


def test_each_byte_takes_its_time(make):
    """1000 bytes at 1 Mbit/s: 8 ms each, one after the other, and the delay comes on top."""
    path = make(rate=1_000_000, delay=20 * MS)
    for tag in range(5):
        assert path.put(0, 1000, tag)
    assert path.take(SECOND) == [(8 * MS * (tag + 1) + 20 * MS, tag) for tag in range(5)]


def test_a_pause_gives_no_credit(make):
    path = make(rate=1_000_000)
    path.put(0, 1000, 0)
    assert path.take(SECOND) == [(8 * MS, 0)]
    path.put(SECOND, 1000, 1)
    path.put(SECOND, 500, 2)
    assert path.take(2 * SECOND) == [(SECOND + 8 * MS, 1), (SECOND + 12 * MS, 2)]


def test_sizes_do_not_change_the_rate(make):
    path = make(rate=600_000, queue_ms=60_000)
    total = 0
    for tag in range(1000):
        size = 50 + tag * 7 % 1400
        total += size
        path.put(0, size, tag)
    last, _ = path.take(NEVER - 1)[-1]
    assert last == pytest.approx(total * 8 / 600_000 * SECOND, abs=1000)


def test_a_new_rate_holds_for_the_rest_of_a_packet(make):
    """Half of 1000 bytes go at 1 Mbit/s (4 ms), the other half at a quarter of it (16 ms)."""
    path = make(rate=1_000_000)
    path.put(0, 1000)
    path.set(4 * MS, rate=250_000)
    assert path.take(SECOND) == [(20 * MS, 0)]


def test_a_rate_that_changes_often_loses_nothing(make):
    path = make(rate=1_000_000)
    path.put(0, 1250)
    for step in range(1, 10):
        path.set(step * MS, rate=1_000_000 + step % 2)
    (at, _), = path.take(SECOND)
    assert at == pytest.approx(10 * MS, abs=100)


def test_without_a_rate_nothing_waits_and_nothing_is_dropped(make):
    path = make(rate=0, delay=5 * MS)
    assert all(path.put(0, 1500, tag) for tag in range(10_000))
    assert path.take(SECOND) == [(5 * MS, tag) for tag in range(10_000)]


# ---- queue


def test_the_queue_holds_so_many_bytes_and_the_rest_is_dropped(make):
    path = make(rate=600_000, queue_bytes=22_500)
    taken = [path.put(0, 1000, tag) for tag in range(30)]
    assert taken == [True] * 22 + [False] * 8
    assert path.put(0, 500)
    assert not path.put(0, 1)
    assert path.count()["dropped"] == (8001, 9)
    assert path.count()["offered"] == (30_501, 32)
    path.take(SECOND)
    assert path.count()["delivered"] == (22_500, 23)


def test_a_queue_of_milliseconds_follows_the_rate(make):
    path = make(rate=5_000_000, queue_ms=300)
    assert sum(path.put(0, 1000) for _ in range(400)) == 187
    # What is in it stays, and there is no room until it is gone.
    path.set(0, rate=600_000)
    assert not path.put(0, 100)
    assert len(path.take(10 * SECOND)) == 187
    assert sum(path.put(10 * SECOND, 1000) for _ in range(400)) == 22


def test_what_is_being_sent_takes_room_until_it_is_gone(make):
    path = make(rate=8_000_000, queue_bytes=2000)
    assert path.put(0, 1000) and path.put(0, 1000)
    assert not path.put(MS - 1, 1000)
    assert path.put(MS, 1000)


def test_an_empty_queue_takes_a_packet_of_any_size(make):
    path = make(rate=1_000_000, queue_bytes=100)
    assert path.put(0, 1500)
    assert not path.put(0, 40)


def test_waits_are_those_of_what_left(make, library):
    path = make(rate=1_000_000, delay=50 * MS)
    for tag in range(3):
        path.put(0, 1000, tag)
    path.take(SECOND)
    assert library.path_mean_wait(path.pointer) == 16 * MS
    assert library.path_longest_wait(path.pointer) == 24 * MS
    library.path_forget(path.pointer)
    assert library.path_longest_wait(path.pointer) == 0
    assert path.count()["offered"] == (0, 0)


# ---- delay


def test_a_shorter_delay_lets_nothing_overtake(make):
    path = make(rate=0, delay=100 * MS)
    path.put(0, 100, 0)
    path.set(0, delay=10 * MS)
    path.put(10 * MS, 100, 1)
    assert path.take(SECOND) == [(100 * MS, 0), (100 * MS, 1)]


def spread(path, count=20_000):
    """Delays of packets that are far enough apart not to meet."""
    for tag in range(count):
        path.put(tag * SECOND, 100, tag)
    found = path.take(NEVER - 1)
    assert [tag for _, tag in found] == list(range(count))
    return [(at - tag * SECOND) / MS for at, tag in found]


def test_jitter_is_spread_evenly_over_its_range(make):
    delays = spread(make(rate=0, delay=20 * MS, jitter=40 * MS))
    assert 20 <= min(delays) < 20.1 and 59.9 < max(delays) <= 60
    for bound in range(24, 60, 4):
        assert sum(one < bound for one in delays) / len(delays) == pytest.approx((bound - 20) / 40, abs=0.02)


def test_jitter_reorders_only_where_it_may(make):
    for reorder in (False, True):
        path = make(rate=0, jitter=40 * MS, reorder=reorder)
        for tag in range(1000):
            path.put(tag * MS, 100, tag)
        order = [tag for _, tag in path.take(10 * SECOND)]
        assert sorted(order) == list(range(1000))
        assert (order != sorted(order)) == reorder


# ---- losses


def survivors(path, count):
    came = []
    for tag in range(count):
        path.put(tag * 1000, 100, tag)
        came += path.take(tag * 1000)
    return [tag for _, tag in came + path.take(NEVER - 1)]


def test_random_losses_are_as_many_as_said_and_apart(make):
    path = make(rate=0, loss=0.05)
    came = survivors(path, 50_000)
    lost = sorted(set(range(50_000)) - set(came))
    assert len(lost) / 50_000 == pytest.approx(0.05, abs=0.004)
    # The next of a lost one is lost as often as any other.
    assert sum(b == a + 1 for a, b in zip(lost, lost[1:])) / len(lost) == pytest.approx(0.05, abs=0.02)
    assert path.count()["lost"][1] == len(lost)
    assert path.count()["delivered"][1] == len(came)


def test_losses_in_bursts_have_their_share_and_their_length(make):
    """Bad for 5 packets on average, good for 200: 1 in 41 is lost, in runs of 5."""
    path = make(rate=0, to_bad=0.005, to_good=0.2, loss_bad=1)
    lost = sorted(set(range(200_000)) - set(survivors(path, 200_000)))
    assert len(lost) / 200_000 == pytest.approx(1 / 41, rel=0.1)
    runs = sum(b != a + 1 for a, b in zip(lost, lost[1:])) + 1
    assert len(lost) / runs == pytest.approx(5, rel=0.1)


def test_losses_within_a_state(make):
    path = make(rate=0, to_bad=0.5, to_good=0.5, loss_bad=0.3, loss_good=0.1)
    assert len(survivors(path, 50_000)) / 50_000 == pytest.approx(0.8, abs=0.01)


def test_what_is_lost_has_used_the_link(make):
    path = make(rate=1_000_000, loss=1)
    for tag in range(10):
        path.put(0, 1000, tag)
    path.set(79 * MS, loss=0)
    path.put(79 * MS, 1000, 10)
    assert path.take(SECOND) == [(80 * MS, 9), (88 * MS, 10)]


def test_a_seed_gives_the_same_again_and_another_one_does_not(make):
    settings = {"rate": 0, "loss": 0.1, "to_bad": 0.01, "to_good": 0.3, "loss_bad": 1, "jitter": 30 * MS, "reorder": True}

    def run(seed):
        path = make(seed=seed, **settings)
        for tag in range(2000):
            path.put(tag * MS, 100, tag)
        return path.take(NEVER - 1)
    assert run(7) == run(7)
    assert run(7) != run(8)


def test_which_packets_are_lost_does_not_depend_on_jitter(make):
    calm = survivors(make(seed=3, rate=0, loss=0.1), 2000)
    assert survivors(make(seed=3, rate=0, loss=0.1, jitter=50 * MS), 2000) == calm


def test_losses_and_arrivals_are_counted_by_flow_and_kind(make):
    path = make(rate=0)
    path.put(0, 100, flow=2, kind=1)
    path.put(0, 200, flow=2, kind=5)
    path.take(SECOND)
    assert path.count(2, 1)["delivered"] == (100, 1)
    assert path.count(2, 5)["delivered"] == (200, 1)
    assert path.count(0, 1)["offered"] == (0, 0)


# ---- words


def read(library, words):
    settings, text = Settings(queue_ms=300), ctypes.create_string_buffer(words.encode())
    return settings, library.settings_read(settings, ctypes.cast(text, ctypes.c_char_p))


def test_words_change_what_they_name(library):
    settings, wrong = read(library, "rate=600000 queue=22500 delay-ms=12.5 jitter-ms=4 reorder=1 loss=.02 bursts=0.01,0.5,0.9")
    assert wrong is None
    assert (settings.rate, settings.queue_bytes, settings.delay, settings.jitter) == (600_000, 22_500, 12_500_000, 4 * MS)
    assert settings.reorder and settings.loss == 0.02 and settings.queue_ms == 300
    assert (settings.to_bad, settings.to_good, settings.loss_bad, settings.loss_good) == (0.01, 0.5, 0.9, 0)


@pytest.mark.parametrize("words", [
    "rate", "rate=", "rate=-1", "rate=1x", "rate=nan", "rate=inf", "speed=1", "loss=1.01", "bursts=0.1", "bursts=1,1,1,1,1",
    "bursts=0.1,", "queue=0", "reorder=2", "delay-ms=60001"])
def test_words_that_mean_nothing_are_named(library, words):
    _, wrong = read(library, f"rate=1000 {words}")
    assert wrong == words.split("=")[0].encode()


# ---- the bulk transfer


def carry(library, path, transfer, seconds, begin=0):
    """Runs both from second `begin` on; segments that arrived, per second."""
    number, now, carried = ctypes.c_uint32(), begin * SECOND, [0] * seconds
    while now < (begin + seconds) * SECOND:
        library.transfer_advance(transfer, now)
        while library.transfer_send(transfer, now, number):
            path.put(now, 1500, number.value, kind=7)
        now = min(library.path_next(path.pointer), library.transfer_next(transfer))
        while memory := library.path_take(path.pointer, now):
            packet = Packet.from_address(memory)
            if packet.kind == 7:
                library.transfer_arrived(transfer, packet.tag, now)
                if now < (begin + seconds) * SECOND:
                    carried[now // SECOND - begin] += 1
            _libc.free(memory)
    return carried


@pytest.fixture
def transfer(library):
    one = library.transfer_new(20 * MS)
    yield one
    library.transfer_free(one)


def test_a_transfer_fills_the_link(make, library, transfer):
    path = make(rate=2_000_000, delay=20 * MS)
    carried = carry(library, path, transfer, 30)
    assert sum(carried[2:]) * 1500 * 8 / 28 > 0.97 * 2_000_000
    # From time to time it finds the end of the queue, and goes on with most of its window.
    library.path_forget(path.pointer)
    carry(library, path, transfer, 30, begin=30)
    assert 0 < path.count(kind=7)["dropped"][1] < 0.02 * path.count(kind=7)["offered"][1]


def test_a_transfer_survives_silence(make, library, transfer):
    """Everything is lost for a while: a timeout begins anew."""
    path = make(rate=2_000_000, delay=20 * MS, loss=1)
    assert sum(carry(library, path, transfer, 5)) == 0
    path.set(5 * SECOND, loss=0)
    assert sum(carry(library, path, transfer, 20, begin=5)[10:]) > 0.9 * 10 * 2_000_000 / 12_000


def test_losses_slow_a_transfer_down(make, library, transfer):
    path = make(rate=20_000_000, delay=20 * MS, loss=0.02)
    carried = carry(library, path, transfer, 30)
    assert 0.5 < sum(carried[5:]) * 12_000 / 25 / 1e6 < 8
