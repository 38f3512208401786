"""The process of a server as its operator sees it."""

import os
from pathlib import Path

import pytest

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
