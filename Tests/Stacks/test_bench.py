"""The load client against the server: what it reports is what was forwarded, and what cannot be is said."""

import json
import signal
import subprocess

import pytest
from sfuserver import SFUServer, environment, eventually


def bench(server, *arguments, fails=False):
    """One short run; its report, or with `fails` what it says on standard error."""
    command = [server.command[0], "bench", "--url", server.url, "--seconds", "2", "--warm-up", "2", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stderr if fails else json.loads(done.stdout)


def is_whole(report, sessions):
    """Everybody joined, and nothing was lost, refused or repeated."""
    delivery = report["delivery"]
    assert report["joins"]["succeeded"] == sessions and report["joins"]["failures"] == {}
    assert delivery["received"] > 0 and delivery["authenticated"] > 0 and delivery["disconnected"] == 0
    assert {name: delivery[name] for name in ("undecryptable", "duplicates", "lost")} == {
        "undecryptable": 0, "duplicates": 0, "lost": delivery["socketDrops"]}
    return True


def test_broadcast(server):
    report = bench(server, "--subscribers", "5", "--cbr", "--server-pid", str(server.process.pid))
    assert is_whole(report, 5)
    # 80 bytes of Opus, header, extensions and SRTP.
    assert 110 < report["delivery"]["bytesPerPacket"] < 130 and 95 < report["delivery"]["deliveredPercent"] < 105
    assert report["server"]["mediaThreadsPerPacket"] > 0 and report["latency"]["samples"] > 0
    eventually(lambda: server.metric("sfu_sessions") == 0, what="the end of all sessions")


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_the_best_layer_comes(server, codec):
    report = bench(server, "--subscribers", "2", "--video", codec)
    assert is_whole(report, 2)
    assert report["layers"][2] > 90 and report["delivery"]["megabitsPerSecond"] > 2 * 1.5


def test_a_camera_alone_comes_to_who_joins_later(server):
    """Its only layer exceeds what is assumed of a path, and no voice says how much there is: reports on probes must."""
    report = bench(server, "--subscribers", "2", "--audio-kbps", "0", "--video", "vp8", "--layers", "4000", "--warm-up", "4")
    assert is_whole(report, 2) and report["delivery"]["megabitsPerSecond"] > 2 * 3.5


def test_rooms(server):
    report = bench(server, "--scenario", "rooms", "--rooms", "2", "--people", "3")
    assert is_whole(report, 6)
    assert 90 < report["delivery"]["deliveredPercent"] < 110


def test_a_meeting_shows_small_tiles_in_low_layers(server):
    report = bench(server, "--scenario", "meeting", "--people", "4", "--last-n", "3")
    assert is_whole(report, 4)
    low, middle, high = report["layers"]
    assert low > 30 and high > 15 and low + middle + high == pytest.approx(100)


@pytest.fixture
def spread(tmp_path):
    """Two media threads, and hardly a room that fits one."""
    settings = tmp_path / "sfu.yaml"
    settings.write_text("media:\n  workers: 2\n  room-seats: 2\n")
    with SFUServer(arguments=("--config", str(settings)), log=tmp_path / "server.log") as started:
        yield started


def both(server, name):
    """A figure of each worker."""
    return [value for (found, _), value in server.metrics().items() if found == name]


def test_a_room_on_two_workers(spread):
    report = bench(spread, "--subscribers", "9", "--cbr", "--video", "vp8")
    assert is_whole(report, 9) and report["layers"][2] > 90
    eventually(lambda: min(both(spread, "sfu_packets_forwarded_total")) > 100, what="packets of both workers")
    assert spread.metric("sfu_packets_relayed_total") > 100
    eventually(lambda: spread.metric("sfu_sessions") == spread.metric("sfu_mirrors") == spread.metric("sfu_rooms") == 0)


def test_meetings_on_two_workers(spread):
    report = bench(spread, "--scenario", "meeting", "--people", "6", "--last-n", "5")
    assert is_whole(report, 6)
    low, _, high = report["layers"]
    assert low > 15 and high > 15
    assert min(both(spread, "sfu_packets_relayed_total")) > 100, "packets cross both ways"


def test_a_storm(server):
    report = bench(server, "--scenario", "storm", "--subscribers", "3", "--rate", "10", "--stay", "0.3")
    assert is_whole(report, 3)
    assert report["storm"]["joined"] >= 10 and report["storm"]["joins"]["failures"] == {}


def test_a_soak_keeps_a_protocol(server):
    arguments = ("--scenario", "soak", "--subscribers", "2", "--interval", "1", "--server-pid", str(server.process.pid))
    intervals = bench(server, *arguments)["intervals"]
    assert len(intervals) >= 1 and all(one["serverResidentBytes"] > 1 << 20 for one in intervals)


def test_the_first_signal_asks_for_the_report(server):
    command = [server.command[0], "bench", "--url", server.url, "--seconds", "600", "--warm-up", "0", "--json"]
    running = subprocess.Popen([*command, "--subscribers", "2"], stdout=subprocess.PIPE, text=True, env=environment())
    eventually(lambda: (server.metric("sfu_packets_forwarded_total") or 0) > 200, what="media")
    running.send_signal(signal.SIGINT)
    report = json.loads(running.communicate(timeout=60)[0])
    assert running.returncode == 0 and is_whole(report, 2)
    assert 0 < report["load"]["seconds"] < 60
    eventually(lambda: server.metric("sfu_sessions") == 0, what="the end of all sessions")


def test_keys_need_no_signaling(tmp_path):
    """Nobody answers: the run says so by its status, and no secret is in what it says."""
    file = tmp_path / "keys"
    command = [SFUServer().command[0], "bench"]
    subprocess.run([*command, "--write-keys", file, "--subscribers", "2"], check=True, env=environment())
    assert file.stat().st_mode & 0o777 == 0o600
    done = subprocess.run(
        [*command, "--keys", file, "--seconds", "1", "--warm-up", "0"], capture_output=True, text=True, env=environment())
    secrets = {field for line in file.read_text().splitlines() for field in line.split() if len(field) == 56}
    assert done.returncode != 0 and len(secrets) == 6
    assert not any(secret in done.stdout + done.stderr for secret in secrets)


def test_what_cannot_be_is_said(server):
    with_wrong_path = bench(server, "--whip", "/nowhere/{room}", fails=True)
    assert "the publisher: POST was answered 404" in with_wrong_path
    assert "--allow-remote" in bench(server, "--url", "http://192.0.2.1", fails=True)
