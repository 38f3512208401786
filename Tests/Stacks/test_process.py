"""The process of a server as its operator sees it."""

import asyncio
import os
from pathlib import Path

import pytest
from aiortc_peers import Publisher, Viewer

from sfuserver import SFUServer

MODES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def environment(pid):
    pairs = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(pair.decode().split("=", 1) for pair in pairs if b"=" in pair)


def test_the_heap_is_on_large_pages_and_the_process_is_the_same(server):
    """It has started itself again: under the pid, name and arguments that it was started with."""
    pid = server.process.pid
    assert Path(f"/proc/{pid}/comm").read_text().strip() == Path(server.command[0]).resolve().name
    arguments = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
    assert [one.decode() for one in arguments] == server.command
    has_large_pages = MODES.exists() and "[never]" not in MODES.read_text()
    assert ("hugetlb=1" in environment(pid).get("GLIBC_TUNABLES", "")) == has_large_pages


@pytest.mark.parametrize("tunables", ["glibc.malloc.hugetlb=0", ""])
def test_whoever_sets_tunables_decides(monkeypatch, tunables):
    monkeypatch.setenv("GLIBC_TUNABLES", tunables)
    with SFUServer() as server:
        assert environment(server.process.pid)["GLIBC_TUNABLES"] == tunables


def test_no_descriptor_of_the_first_start_is_left(server):
    """What was open before the second start and is not meant for it would stay open for ever."""
    names = [os.readlink(link) for link in Path(f"/proc/{server.process.pid}/fd").iterdir()]
    assert not [name for name in names if name.startswith("/proc/")], names


def nice_values(pid):
    """By the names of threads: the nice values of those that are called so."""
    found = {}
    for thread in Path(f"/proc/{pid}/task").iterdir():
        # What follows the name in brackets begins with the third field; `nice` is the nineteenth.
        name, rest = (thread / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
        found.setdefault(name, set()).add(int(rest.split()[16]))
    return found


CAP_SYS_NICE = 23


def may_lower_nice_values(pid):
    effective = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_NICE & 1)


@pytest.mark.parametrize("is_privileged", [True, False])
def test_where_the_cpu_is_full_the_workers_go_first(room, is_privileged):
    """Before those threads too that were started while somebody published and watched."""
    async def scenario(server):
        async with Publisher(server, room, "alpha", (30, 150, 150), 500), Viewer(server, f"{room}/alpha") as viewer:
            await viewer.expect_pitch(500)
            return nice_values(server.process.pid)

    unstarted = SFUServer()
    if not is_privileged and may_lower_nice_values("self"):
        unstarted.command = ["setpriv", "--bounding-set=-sys_nice", *unstarted.command]
    with unstarted as server:
        values = asyncio.run(scenario(server))
        has_privilege = may_lower_nice_values(server.process.pid)
    workers = {name: values.pop(name) for name in list(values) if name.startswith("sfu-media-")}
    assert workers and values, (workers, values)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    if has_privilege:
        assert all(one == {-10} for one in workers.values()), workers
        # libdispatch gives some of its own -4; the first thread keeps what it was started with.
        assert all(min(one) >= min(own, -4) for one in values.values()), values
    else:
        # Without the privilege libdispatch takes its threads back to 0, and those start the workers.
        assert all(one == {max(own, 0)} for one in workers.values()), workers
        assert all(one == {min(max(own, 0) + 10, 19)} for one in values.values()), values
