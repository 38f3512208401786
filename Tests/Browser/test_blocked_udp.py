"""Somebody whose network lets only TCP through is in the call all the same."""

import os

import pytest

import chromium
from conftest import cannot
from netns import Namespace
from people import BLUE, GREEN, RED
from sfuserver import SFUServer


@pytest.fixture
def namespace():
    if os.geteuid() != 0:
        cannot("network namespaces need root")
    with Namespace() as made:
        yield made


@pytest.fixture
def server(namespace, tmp_path):
    with SFUServer(("127.0.0.1", namespace.here), log=tmp_path / "server.log") as started:
        yield started


@pytest.fixture
def browser_inside(playwright, server, namespace, tmp_path):
    launched = chromium.launch(
        playwright, [f"--unsafely-treat-insecure-origin-as-secure={server.url_at(namespace.here)}"],
        path=namespace.wrapper(tmp_path, chromium.executable()))
    yield launched
    launched.close()


def test_media_comes_by_tcp_where_udp_is_blocked(people, server, namespace, browser_inside, room):
    namespace.block_udp()
    ruby = people(RED)
    olive = chromium.ChromiumPerson(browser_inside, server.url_at(namespace.here), room, GREEN).join()
    for one, other in ((ruby, olive), (olive, ruby)):
        one.expect_sees(other.who)
        one.expect_moving(other.who)
        one.expect_hears(other.who)
    assert olive.evaluate("sfuTest.protocol()") == "tcp"
    assert ruby.evaluate("sfuTest.protocol()") == "udp"
    assert namespace.dropped_packets() > 0, "nothing was blocked, so nothing was tested"
    # Somebody more comes in: another negotiation on the same path.
    people(BLUE)
    olive.expect_sees(BLUE)
    assert server.metric("sfu_ice_tcp_connections") >= 1
    olive.close()
