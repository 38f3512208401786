"""Two thousand sockets on one server, some of which read nothing, send rubbish or never stop: nobody else notices."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sockets import Member, acknowledge_always, connector, join_all
from sfuserver import SFUServer, die_with_parent, eventually

SOCKETS = int(os.environ.get("SFU_SOCKETS", "2000"))
PER_ROOM = 100
SLOW = {"deaf": 2, "mute": 2, "drip": 2}
RUBBISH = {"garbage": 3, "noise": 3}
FLOODS = {"pings": 2, "pongs": 1, "fragments": 2, "silence": 1, "requests": 2}
# docs/signaling.md, "What one socket can hold".
BYTES_PER_SLOW_SOCKET = 3 << 20
# The allocator's own: what events of the whole server pass through.
SLACK = 24 << 20


@pytest.fixture
def crowded(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * SOCKETS + 512
    if hard < wanted:
        pytest.skip(f"needs {wanted} descriptors, {hard} are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with SFUServer(arguments=["--log-level", "warning"], log=tmp_path / "server.log") as server:
            yield server
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Villains:
    """Some of them, in a process of their own."""

    def __init__(self, server, room, kinds):
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("villains.py")), "127.0.0.1", str(server.http_port), room,
             *(f"{kind}={count}" for kind, count in kinds.items())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.count = sum(kinds.values())
        self.inside, self.out = 0, {}
        os.set_blocking(self.process.stdout.fileno(), False)
        self._rest = ""

    def read(self):
        try:
            self._rest += self.process.stdout.read() or ""
        except TypeError:
            pass
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            kind, what, *code = line.split()
            if what == "in":
                self.inside += 1
            else:
                self.out.setdefault(kind, []).append(int(code[0]))
        return self

    def end(self):
        self.process.stdin.close()
        self.process.wait(10)


class Room:
    """Who speaks in it and who listens; how long each event took."""

    def __init__(self, members):
        self.speaker, *self.listeners = members
        self.samples = []
        for member in self.listeners[:20]:
            member.on_event = self._heard

    def _heard(self, member, line):
        if b'"type":"data"' in line[:60] and b'"topic":"clock"' in line:
            sent = json.loads(line)["data"]["payload"]["at"]
            self.samples.append((time.perf_counter() - sent) * 1000)

    async def speak(self, seconds):
        """15 events of a kilobyte each second, for everybody; returns what the twenty saw."""
        self.samples = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            await self.speaker.ask("data.send", {
                "topic": "clock", "reliable": True, "payload": {"at": time.perf_counter(), "fill": "x" * 1000}})
            await asyncio.sleep(1 / 15)
        await asyncio.sleep(0.2)
        return self.samples


def percentile(values, share):
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def closed(server, *codes):
    return sum(value for (name, labels), value in server.metrics().items()
               if name == "sfu_signal_sockets_closed_total" and any(f'code="{code}"' in labels for code in codes))


async def until(check, seconds, what):
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = await asyncio.to_thread(check)
        except OSError as error:
            # A machine that is too busy to answer says nothing about the server.
            found, what = None, f"{what}: {error}"
        if found:
            return
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        await asyncio.sleep(0.3)


def test_bad_clients_cost_the_others_nothing(crowded, room):
    server = crowded

    async def scenario():
        connect = connector("127.0.0.1", server.http_port)
        members = [Member(f"{room}-{number // PER_ROOM}", f"m{number}", connect) for number in range(SOCKETS)]
        bad_room = f"{room}-0"
        started = time.monotonic()
        await join_all(members)
        print(f"{SOCKETS} sockets joined in {time.monotonic() - started:.1f} s")
        acks = asyncio.create_task(acknowledge_always(members))
        one = Room(members[:PER_ROOM])
        await one.speak(1)
        calm, busy = [], []
        slow, peak = 0, 0
        before = server.resident_bytes()
        villains = []
        for _ in range(2):
            calm += await one.speak(3)
            floods = Villains(server, bad_room, {**RUBBISH, **FLOODS})
            villains.append(Villains(server, bad_room, SLOW))
            slow += villains[-1].count
            await until(lambda: floods.read().inside == floods.count, 20, "the bad ones come")
            busy += await one.speak(4)
            # Whatever holds up this loop would look like the server's latency.
            await asyncio.to_thread(floods.read)
            peak = max(peak, await asyncio.to_thread(server.resident_bytes))
            # Rubbish is told so, in its own words.
            assert all(code in (4002, 0) for code in floods.out.get("garbage", [])), floods.out
            assert len(floods.out.get("garbage", [])) == RUBBISH["garbage"], floods.out
            assert all(code in (1002, 1003, 1007, 1009, 0) for code in floods.out.get("noise", [])), floods.out
            assert len(floods.out.get("noise", [])) == RUBBISH["noise"], floods.out
            # The floods are held back, not thrown out.
            assert set(floods.out) <= set(RUBBISH), floods.out
            await asyncio.to_thread(floods.end)
            # What the floods left in queues and buffers is worked off before calm is measured again.
            await one.speak(1)
        # The slow ones are closed, by somebody who goes on speaking to the room.
        ends = asyncio.create_task(one.speak(45))
        await until(lambda: closed(server, 4008, 4010) >= slow, 45, "the slow ones are closed")
        ends.cancel()
        await asyncio.gather(ends, return_exceptions=True)
        peak = max(peak, server.resident_bytes())
        acks.cancel()
        for one_of in villains:
            one_of.end()
        gone = [(member.user, member.codes) for member in members if member.socket is None or member.codes]
        gaps = [member.user for member in members if member.gaps]
        ratio = percentile(busy, 99) / percentile(calm, 99)
        print(f"event latency, ms: calm p50 {percentile(calm, 50):.1f} p99 {percentile(calm, 99):.1f} ({len(calm)}), "
              f"beside bad clients p50 {percentile(busy, 50):.1f} p99 {percentile(busy, 99):.1f} ({len(busy)}), "
              f"ratio of p99 {ratio:.2f}")
        print(f"resident MiB: {before >> 20} before, at most {peak >> 20} with {slow} slow sockets")
        assert not gone, f"sockets of others were closed: {gone[:10]}"
        assert not gaps, f"events are missing at {gaps[:10]}"
        assert calm and busy
        assert closed(server, 4008, 4010) == slow
        assert peak - before <= slow * BYTES_PER_SLOW_SOCKET + SLACK, f"{(peak - before) >> 20} MiB more"
        held = server.metric("sfu_signal_session_bytes")
        assert held <= 1 << 30
        for member in members:
            member.drop()
    asyncio.run(scenario())
    eventually(lambda: server.metric("sfu_signal_sockets") == 0, 20, what="all sockets are forgotten")


def test_sockets_that_never_say_hello_go(crowded):
    """They hold a descriptor for as long as the limits say, and nobody waits for them."""
    async def scenario():
        loop = asyncio.get_running_loop()
        connect = connector("127.0.0.1", crowded.http_port)

        class Silent(Member):
            def opened(self, socket):
                self.socket = socket
                self.opened_at = time.perf_counter()
                self.live.set_result(self)

        silent = [Silent("silent", f"s{number}", connect) for number in range(200)]
        await join_all(silent)
        member = await Member("silent", "good", connect).join()
        started = loop.time()
        await until(lambda: crowded.metric("sfu_signal_sockets") == 1, 20, "the silent ones are closed")
        assert loop.time() - started < 15
        assert {code for one in silent for code in one.codes} == {4401}
        assert member.socket is not None
        member.drop()
    asyncio.run(scenario())
