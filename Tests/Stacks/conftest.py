"""What the tests with other WebRTC stacks share. The server helper is the browser tests' own."""

import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "Browser"))
sys.path.insert(0, str(Path(__file__).parent))

from sfuserver import SFUServer, own_address  # noqa: E402


@pytest.fixture
def server(tmp_path):
    # aiortc gathers no loopback candidates and reaches a server by the machine's own address only.
    addresses = ("127.0.0.1", *filter(None, [own_address()]))
    with SFUServer(addresses, log=tmp_path / "server.log") as started:
        yield started


@pytest.fixture
def room():
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the server said."""
    report = yield
    for name in ("server", "planes"):
        server = getattr(item, "funcargs", {}).get(name)
        if report.failed and server is not None:
            report.sections.append((f"{name} log", server.text))
    return report
