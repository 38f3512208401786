"""Fixtures for somebody with a network of his own. A module imports those it wants: `server` then listens where he is, too.

A module may name another class of network in NETWORK, and with GOES_OFFLINE = True its pages may complain about requests that fail.
"""

import os

import pytest

import chromium
from conftest import cannot
from netns import Namespace
from people import GREEN
from sfuserver import SFUServer


@pytest.fixture
def namespace(request):
    if os.geteuid() != 0:
        cannot("network namespaces need root")
    with getattr(request.module, "NETWORK", Namespace)() as made:
        yield made


@pytest.fixture
def server(namespace, tmp_path):
    with SFUServer(("127.0.0.1", namespace.here), log=tmp_path / "server.log") as started:
        yield started


@pytest.fixture
def browser_inside(playwright, server, namespace, tmp_path):
    launched = launch_inside(playwright, server, namespace, tmp_path)
    yield launched
    launched.close()


@pytest.fixture
def olive(browser_inside, server, namespace, room, request):
    """Somebody in the call from there."""
    person = chromium.ChromiumPerson(browser_inside, server.url_at(namespace.here), room, GREEN)
    yield person.join()
    if getattr(request.module, "GOES_OFFLINE", False):
        person.errors.clear()
    person.close()


def launch_inside(playwright, server, namespace, folder):
    return chromium.launch(
        playwright, [f"--unsafely-treat-insecure-origin-as-secure={server.url_at(namespace.here)}"],
        path=namespace.wrapper(folder, chromium.executable()))
