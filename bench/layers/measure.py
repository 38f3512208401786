"""One sender, one viewer, and the changes of the viewer's tile. Knows the pages' questions, and no figures of anybody."""

import random
import time
from dataclasses import dataclass

import switching

# Shorter than the time after which the server has unwatched encodings switched off, longer than the shortest time
# between two key frames of one encoding.
DWELL = 1.5
SETTLE_SECONDS = 40
LATEST_OFF = 12


@dataclass
class Plan:
    rounds: int
    hides: int
    calm: float
    dynacast: bool


def counted(viewer, work):
    """What the receiver counted while `work` ran."""
    before = viewer.received()
    work()
    after = viewer.received()
    seconds = (after["at"] - before["at"]) / 1000
    rest = {name: after[name] - before[name] for name in after if name not in ("at", "fps", "width", "newest")}
    return {"seconds": round(seconds, 1), "fps": rest["framesDecoded"] / seconds, **rest}


def settle(camera, sender, viewer, rids):
    """These layers are sent and the largest is shown, for three seconds on end: the sender's estimate has risen by then."""
    viewer.resize(SETTLE_SECONDS, **camera.large)
    good = 0
    deadline = time.monotonic() + SETTLE_SECONDS
    frames = {}
    while good < 3:
        if time.monotonic() > deadline:
            return False
        time.sleep(1)
        layers = {one["rid"]: one["frames"] for one in sender.layers()}
        moves = all(layers.get(rid, 0) > frames.get(rid, 0) for rid in rids)
        frames = layers
        good = good + 1 if moves and viewer.shown()["width"] >= camera.large["least"] else 0
    return True


class Tile:
    """Changes the viewer's tile and notes how long the frame took."""

    def __init__(self, camera, sender, viewer, dynacast):
        self.camera, self.sender, self.viewer, self.dynacast = camera, sender, viewer, dynacast
        # What nobody watches beside a small tile.
        self.unwatched = camera.rids[1:]
        self.samples = {"larger": [], "smaller": [], "told": [], "off": [], "shown": [], "stopped": []}

    def change(self, size):
        kind = {"large": "larger", "small": "smaller"}[size]
        # What is below a large tile's layer stays on, in case the path falls: nothing is to be waited for.
        waits = self.dynacast and size == "small"
        if waits and self.camera.is_layered:
            self.sender.sends(self.camera.mode_for(1), LATEST_OFF)
        elif waits:
            self.sender.off(self.unwatched, LATEST_OFF)
        made = self.viewer.resize(**getattr(self.camera, size))
        self.samples[kind].append(made["took"])
        self.samples["told"].append(made["asked"])
        self.dwell(made["at"], waits)

    def alternate(self, rounds):
        for _ in range(rounds):
            self.change("small")
            self.change("large")

    def dwell(self, changed, waits):
        """Until what is not needed any more is off, where something is; else for a moment."""
        if not waits:
            time.sleep(DWELL + random.random())
            return
        last = self.sender.when_off()
        self.samples["off"].append(None if last is None else last - changed)
        time.sleep(random.random() / 2)

    def hide(self):
        if self.dynacast:
            self.sender.off(self.camera.rids, LATEST_OFF)
        made = self.viewer.hide()
        self.samples["stopped"].append(made["took"])
        self.dwell(made["at"], self.dynacast)
        size = {**self.camera.large, "least": 0}
        self.samples["shown"].append(self.viewer.resize(**size)["took"])
        # It goes on as it was before.
        time.sleep(1 + random.random())


def dropped(server):
    """What the media plane let go of, by reason."""
    reasons = {}
    for (name, labels), value in server.metrics().items():
        if name == "sfu_media_dropped_total":
            reason = labels.partition('reason="')[2].partition('"')[0]
            reasons[reason] = reasons.get(reason, 0) + int(value)
    return {reason: count for reason, count in reasons.items() if count}


def run(camera, plan, browser, server, log):
    log(f"{camera.title}, {camera.width} × {camera.height} at {camera.fps}, dynacast {'on' if plan.dynacast else 'off'}")
    outcome = {
        "sender": camera.key, "title": camera.title, "size": [camera.width, camera.height, camera.fps], "mode": camera.mode,
        "dynacast": plan.dynacast}
    stages = []
    try:
        sender = switching.sender(camera, browser, server.url)
        stages.append(sender)
        if not sender.can_send(camera.codec):
            return {**outcome, "failed": f"this browser has no encoder for {camera.codec}"}
        viewer = switching.ChromiumStage(browser, server.url)
        stages.append(viewer)
        sender.join("layers", "sender").publish(camera, plan.dynacast)
        viewer.join("layers", "viewer").watch()
        return {**outcome, **measured(camera, plan, sender, viewer), "dropped": dropped(server)}
    finally:
        for stage in stages:
            stage.close()


def measured(camera, plan, sender, viewer):
    # With dynacast, those that the large tile does not need are off soon.
    if not settle(camera, sender, viewer, camera.rids[-1:] if plan.dynacast else camera.rids):
        return {"failed": f"the largest layer did not come: {sender.layers()}"}
    layers = sender.layers()
    codec = next((one["codec"] for one in layers if one.get("codec")), "")
    found = {"codec": codec, "scalability": layers[-1].get("mode"), "encoder": layers[-1].get("encoder")}
    if codec and codec.lower() != camera.codec:
        return {**found, "failed": f"{codec} was negotiated instead"}
    tile = Tile(camera, sender, viewer, plan.dynacast)
    found["calm"] = counted(viewer, lambda: time.sleep(plan.calm))
    viewer.call("gaps")
    found["switching"] = counted(viewer, lambda: tile.alternate(plan.rounds))
    found["gaps"] = viewer.call("gaps")
    found["hiding"] = counted(viewer, lambda: [tile.hide() for _ in range(plan.hides)])
    layers = sender.layers()
    return {**found, "samples": tile.samples, "limits": sorted({one["limit"] for one in layers if one.get("limit")} - {"none"}),
            "largest": viewer.shown()["width"]}
