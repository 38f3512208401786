"""One run: a link, and whoever watches behind it. Knows no media stack.

A viewer has `open` (what takes time before it joins), `join`, `leave`, and `seen`; times are seconds after the link's start."""

import asyncio

import emulator

# How often the statistics of a viewer are read, seconds.
INTERVAL = 0.1
# Which they are, by the names of W3C's webrtc-stats.
COUNTED = {
    "audio": ("total_samples_received", "concealed_samples", "silent_concealed_samples", "packets_received", "packets_lost",
              "packets_discarded", "bytes_received", "jitter_buffer_delay", "jitter_buffer_emitted_count"),
    "video": ("frames_decoded", "frames_dropped", "key_frames_decoded", "freeze_count", "total_freezes_duration",
              "nack_count", "pli_count", "fir_count", "packets_received", "packets_lost", "bytes_received",
              "retransmitted_packets_received", "frame_width", "frame_height"),
}


async def run(order, make):
    """What the link reported and what the viewers saw. `make`: a viewer of a URL behind a link."""
    conditions = emulator.Conditions(**order["link"])
    async with emulator.Link(conditions, order["address"]) as link:
        planned = [(one["at"], make(one["url"], link)) for one in sorted(order["viewers"], key=lambda one: one["at"])]
        for _, viewer in planned:
            await viewer.open()
        await link.start()
        loop = asyncio.get_running_loop()
        for at, viewer in planned:
            await asyncio.sleep(max(0, link.started + at - loop.time()))
            await viewer.join()
        await asyncio.sleep(max(0, link.started + order["seconds"] - loop.time()))
        for _, viewer in planned:
            await viewer.leave()
    reports = [one | {"at": round(one["at"] - link.started, 3)} for one in link.reports if one["at"] > link.started + 0.01]
    return {"link": reports, "viewers": [viewer.seen for _, viewer in planned]}
