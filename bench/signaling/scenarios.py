"""What is measured, one function each, and each with servers of its own. Knows no documents."""

import asyncio
import tempfile
import time
from pathlib import Path

from planes import Planes
from processes import Crowds, Relay, TLSFiles, Usage, make_server, metric
from sockets import Member, acknowledge_always, connector, join_all

PER_IDLE_ROOM = 10


def percentile(values, share):
    """The smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def spread(samples, scale=1000):
    return {"p50": scale * percentile(samples, 50), "p99": scale * percentile(samples, 99), "max": scale * max(samples),
            "count": len(samples)}


def names(count, per_room, prefix="room"):
    return [(f"{prefix}-{number // per_room}", f"user-{number}") for number in range(count)]


def settle(server, seconds):
    """Until the server has nothing to do."""
    time.sleep(seconds)
    while True:
        before = Usage.of(server.process.pid).cpu
        time.sleep(1)
        if Usage.of(server.process.pid).cpu - before < 0.1:
            return


# MARK: resume

def resume(given, log):
    """One client that loses its socket and misses an event, beside `clients` others."""
    rows = []
    with make_server() as server, Crowds(1, server.http_port) as crowd:
        crowd.join(names(given.clients, 100, "others"))
        for milliseconds in (0, 40, 100):
            with Relay(server.http_port, milliseconds) as relay:
                found = asyncio.run(resumes(server, relay.port if milliseconds else server.http_port, given.rounds))
            rows.append({"rtt": milliseconds, "sessions": given.clients, **found})
            log(f"  {milliseconds} ms: {found['afterOpen']}, ping {found['ping']}")
    return {"rows": rows}


async def resumes(server, port, rounds):
    near = connector("127.0.0.1", server.http_port)
    others = [Member("resume", f"other-{number}", near) for number in range(20)]
    await join_all(others)
    member = Member("resume", "me", connector("127.0.0.1", port))
    await member.join()
    acks = asyncio.create_task(acknowledge_always([member, *others]))
    after, whole, pings, outcomes = [], [], [], {}
    for round_number in range(rounds):
        known = member.seq
        member.drop()
        while member.socket:
            await asyncio.sleep(0.005)
        await others[0].ask("data.send", {"topic": "t", "reliable": True, "payload": {"round": round_number}})
        started = time.perf_counter()
        await member.join()
        after.append(member.live_at - member.opened_at)
        whole.append(member.live_at - started)
        outcomes[member.outcome] = outcomes.get(member.outcome, 0) + 1
        assert member.seq > known, "the event that was missed did not come"
        # The same way there and back, for comparison.
        for _ in range(3):
            since = time.perf_counter()
            await member.ask("ping", {"t": 1})
            pings.append(time.perf_counter() - since)
        # Below the rate that a session may send at, or the server holds it back.
        await asyncio.sleep(0.15)
    acks.cancel()
    assert member.gaps == 0
    for one in [member, *others]:
        one.drop()
    return {"afterOpen": spread(after), "whole": spread(whole), "ping": spread(pings), "outcomes": outcomes}


# MARK: idle sockets

def idle(given, log):
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for tls in (None, TLSFiles(folder)):
            with make_server(tls) as server, Crowds(2, server.http_port, bool(tls)) as crowds:
                metric(server, "sfu_signal_sockets", bool(tls))
                time.sleep(1)
                empty = Usage.of(server.process.pid)
                took = crowds.join(names(given.sockets, PER_IDLE_ROOM), atOnce=100)
                settle(server, 12)
                before, bytes_before = Usage.of(server.process.pid), totals(crowds)
                time.sleep(given.idle_seconds)
                after, bytes_after = Usage.of(server.process.pid), totals(crowds)
                count = bytes_after["open"]
                wire = {way: (bytes_after[way] - bytes_before[way]) / count * 60 / given.idle_seconds
                        for way in ("received", "sent")}
                rows.append({
                    "tls": bool(tls), "sockets": count, "perRoom": PER_IDLE_ROOM,
                    "residentPerSocket": (after.resident - empty.resident) / count,
                    "kernel": kernel_bytes() / count / 2,
                    "cpuMicrosecondsPerSecond": (after.cpu - before.cpu) / given.idle_seconds / count * 1e6,
                    "bytesPerMinute": wire, "joinSeconds": max(one["seconds"] for one in took),
                    "joinCPU": before.cpu - empty.cpu})
                log(f"  {'TLS' if tls else 'plain'}: {rows[-1]}")
                assert count == given.sockets, f"{given.sockets - count} sockets were lost"
    return {"rows": rows}


def totals(crowds):
    found = crowds.do("totals")
    return {name: sum(one[name] for one in found) for name in found[0]}


def kernel_bytes():
    """What TCP's buffers hold on this machine, both ends of each connection."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            fields = line.split()
            return int(fields[fields.index("mem") + 1]) * 4096
    return 0


# MARK: everybody at once

def mass(given, log):
    """All sockets of one room go at once and come back, at once or as the SDK spreads them."""
    rows = []
    with make_server() as server, Crowds(1, server.http_port) as crowds:
        before = Usage.of(server.process.pid)
        joined = crowds.join(names(given.clients, given.clients))
        settle(server, 3)
        after = Usage.of(server.process.pid)
        found = totals(crowds)
        rows.append({"what": "join", "clients": given.clients, "seconds": joined[0]["seconds"], "received": found["received"],
                     "sent": found["sent"], "cpu": after.cpu - before.cpu})
        log(f"  join: {rows[-1]}")
        for jitter in (0, 0.25):
            before = Usage.of(server.process.pid)
            found = crowds.do("cut", spread=jitter)[0]
            settle(server, 1)
            after = Usage.of(server.process.pid)
            rows.append({"what": "cut", "spread": jitter, **back(found, before, after)})
            log(f"  cut, spread {jitter}: {rows[-1]}")
    return {"rows": rows, "clients": given.clients}


def back(found, before, after):
    return {"clients": len(found["total"]), "seconds": max(found["total"]), "afterOpen": spread(found["afterOpen"]),
            "outcomes": found["outcomes"], "received": found["received"], "sent": found["sent"], "gaps": found["gaps"],
            "cpu": after.cpu - before.cpu}


def kill(given, log):
    """kill -9 of the gateway, another one at once; the media plane goes on. All clients have a media session."""
    rows = []
    for offers in (False, True):
        with tempfile.TemporaryDirectory() as folder, Planes(Path(folder)) as planes:
            with Crowds(1, planes.http_port) as crowds:
                crowds.join(names(given.clients, given.clients), offer=offers)
                settle(planes.gateway, 3)
                for crowd in crowds.all:
                    crowd.order("lost", spread=0.25)
                time.sleep(0.2)
                planes.gateway.kill()
                killed = time.perf_counter()
                planes.gateway.start()
                started = time.perf_counter() - killed
                found = crowds.all[0].answer()
                settle(planes.gateway, 1)
                after = Usage.of(planes.gateway.process.pid)
                nothing = Usage(0, 0, 0, 0)
                rows.append({"media": offers, "restart": started, **back(found, nothing, after)})
                log(f"  {'with' if offers else 'without'} media sessions: {rows[-1]}")
    return {"rows": rows}


# MARK: fan-out

def fanout(given, log):
    """Events of one room to everybody in it: what each delivery costs, and how long it takes."""
    rows = []
    for rate in (50, 100):
        with make_server() as server, Crowds(1, server.http_port) as crowds:
            crowds.join(names(given.clients, given.clients, "hall"))
            settle(server, 2)
            rows.append({"rate": rate, **asyncio.run(speak(server, crowds, rate, given))})
            log(f"  {rate} events/s: {rows[-1]}")
    return {"rows": rows}


async def speak(server, crowds, rate, given):
    listen = connector("127.0.0.1", server.http_port)
    count = max(5, rate // 10)
    members = [Member("hall-0", f"speaker-{number}", listen) for number in range(count)]
    await join_all(members, 5)
    await asyncio.sleep(2.5)
    await asyncio.to_thread(crowds.do, "count")
    samples = []

    def heard(member, line):
        if b'"topic":"clock"' in line and (at := line.find(b'"at":')) > 0:
            samples.append(time.perf_counter() - float(line[at + 5:line.index(b"}", at)].split(b",")[0]))
    for member in members:
        member.on_event = heard
    acks = asyncio.create_task(acknowledge_always(members, 1))
    loop = asyncio.get_running_loop()
    payload = {"topic": "clock", "reliable": True}

    async def talk(seconds):
        asked, begun = [], loop.time()
        for number in range(int(rate * seconds)):
            await asyncio.sleep(max(0, begun + number / rate - loop.time()))
            speaker = members[number % count]
            asked.append(loop.create_task(speaker.ask("data.send", {
                **payload, "payload": {"at": time.perf_counter(), "fill": "x" * 200}})))
        await asyncio.gather(*asked)
        await asyncio.sleep(0.3)
    await talk(2)
    samples.clear()
    before, counted = Usage.of(server.process.pid), totals(crowds)
    since = loop.time()
    await talk(given.seconds)
    seconds = loop.time() - since
    after, delivered = Usage.of(server.process.pid), totals(crowds)
    acks.cancel()
    events = delivered["events"] - counted["events"]
    expected = int(rate * given.seconds) * given.clients
    outcome = {
        "receivers": given.clients, "seconds": seconds, "deliveries": events, "expected": expected,
        "bytes": (delivered["received"] - counted["received"]) / max(1, events),
        "perCore": events / (after.cpu - before.cpu), "user": (after.user - before.user) / events * 1e6,
        "system": (after.system - before.system) / events * 1e6, "load": (after.cpu - before.cpu) / seconds,
        "latency": spread(samples), "closed": given.clients - delivered["open"]}
    for member in members:
        member.drop()
    return outcome


ALL = {"resume": resume, "idle": idle, "mass": mass, "kill": kill, "fanout": fanout}
