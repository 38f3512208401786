"""Programs of bench/ under test, and sockets of peers that they talk to."""

import pathlib
import subprocess
import sys

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
FLOOR = BENCH / "floor"
sys.path[:0] = [str(BENCH), str(BENCH / "peers")]


@pytest.fixture(scope="session")
def floor_binary():
    """The floor with AddressSanitizer and UndefinedBehaviorSanitizer; leaks fail it as well."""
    subprocess.run(["make", "--silent", "-C", FLOOR, "sanitized"], check=True)
    return FLOOR.parent / ".build" / "floor" / "floor-sanitized"
