"""A viewer of libwebrtc behind a link that falls from 5 Mbit/s to 600 kbit/s and comes back: what must hold, of what
bench/bandwidth measures. The link is a program of its own, the rows and their bounds are bench/bandwidth/scenarios.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench/bandwidth"))

import figures  # noqa: E402
import runs  # noqa: E402
from scenarios import SCENARIOS  # noqa: E402


def test_a_viewer_keeps_picture_and_voice_when_the_link_falls_and_comes_back(server, room):
    runs.build_link()
    scenario = SCENARIOS["drop"]
    with runs.Publisher(f"{server.url}/whip/{room}/camera"):
        order = scenario.order([f"{server.url}/whep/{room}/camera"], "127.0.0.1", seed=1)
        run = figures.Run(runs.watch(order))
    broken = scenario.failures(run)
    assert not broken, "; ".join(broken)
