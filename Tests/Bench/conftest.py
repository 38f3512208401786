"""Programs of bench/ under test, and sockets of peers that they talk to."""

import pathlib
import subprocess

import pytest

FLOOR = pathlib.Path(__file__).resolve().parents[2] / "bench" / "floor"


@pytest.fixture(scope="session")
def floor_binary():
    """The floor with AddressSanitizer and UndefinedBehaviorSanitizer; leaks fail it as well."""
    subprocess.run(["make", "--silent", "-C", FLOOR, "sanitized"], check=True)
    return FLOOR.parent / ".build" / "floor" / "floor-sanitized"
