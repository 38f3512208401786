"""What the browser tests share: one server for each test module, one Chromium for the run."""

import os
import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from playwright.sync_api import sync_playwright  # noqa: E402

import chromium  # noqa: E402
from sfuserver import SFUServer, eventually  # noqa: E402


def cannot(why):
    """Skips where a developer's machine lacks something; fails where everything has to be there."""
    if os.environ.get("SFU_NO_SKIP"):
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def playwright():
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright):
    launched = chromium.launch(playwright)
    yield launched
    launched.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory, request):
    """A module may name the addresses in ADDRESSES; the first one serves the page."""
    log = tmp_path_factory.mktemp("sfu") / "server.log"
    addresses = getattr(request.module, "ADDRESSES", ("127.0.0.1",))
    started = SFUServer(addresses, log=log)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def room():
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def people(browser, server, room):
    """Makes participants of the test's room, and closes their pages in the end."""
    made = []

    def join(who, before_join=None, **options):
        person = chromium.ChromiumPerson(browser, server.url, room, who, **options)
        made.append(person)
        if before_join:
            before_join(person.page)
        return person.join()
    yield join
    for person in made:
        person.close()
    eventually(lambda: server.metric("sfu_sessions") == 0, 30, what="the media plane forgets the sessions")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the server said."""
    report = yield
    server = item.funcargs.get("server") if hasattr(item, "funcargs") else None
    if report.failed and server is not None:
        report.sections.append(("server log", server.text))
    return report
