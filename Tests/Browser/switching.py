"""Senders and viewers for whoever looks at layer switching: one camera, one tile, made with the SDK in an empty page.

Shared by test_layers.py and bench/layers. It knows the browsers and the names of their codecs, and no figures.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import chromium
from firefox import FirefoxBrowser

SCRIPT = Path(__file__).with_name("switching.js").read_text(encoding="utf-8")
# A document of the server's origin without scripts, styles and content security policy of its own.
PAGE = "/healthz"


@dataclass(frozen=True)
class Camera:
    """What is sent, and by which browser. From 960 × 540 on the SDK makes three layers: ¼, ½ and 1."""

    key: str
    title: str
    browser: str = "chromium"
    codec: str = "vp8"
    mode: str = ""
    width: int = 1280
    height: int = 720
    fps: int = 30

    @property
    def is_layered(self):
        """One stream with spatial layers, and not one stream for each layer."""
        return self.mode.startswith("L3")

    def mode_for(self, layers):
        """What a stream with spatial layers is sent as while somebody needs so many of them."""
        if layers == 3:
            return self.mode
        return f"L{layers}{self.mode[2:4]}{self.mode[4:] if layers > 1 else ''}"

    @property
    def rids(self):
        return [""] if self.is_layered else ["q", "h", "f"]

    def options(self, dynacast):
        made = {"width": self.width, "height": self.height, "fps": self.fps, "dynacast": dynacast, "codec": self.codec}
        return {**made, "scalabilityMode": self.mode} if self.mode else made

    def sized(self, width, height, fps):
        return replace(self, width=width, height=height, fps=fps)

    @property
    def small(self):
        """Tile sizes, and what tells a frame of the layer for it: senders short of CPU scale by up to ¾."""
        return {"width": self.width // 4, "height": self.height // 4, "most": self.width * 3 // 10}

    @property
    def middle(self):
        return {"width": self.width // 2, "height": self.height // 2, "least": self.width * 7 // 20,
                "most": self.width * 6 // 10}

    @property
    def large(self):
        return {"width": self.width, "height": self.height, "least": self.width * 7 // 10}


# Two cores encode, forward and decode: what a codec's encoder does not reach in time is sent smaller or slower.
CAMERAS = {one.key: one for one in (
    Camera("vp8", "Chromium, VP8 simulcast"),
    Camera("h264", "Chromium, H.264 simulcast", codec="h264"),
    Camera("vp9", "Chromium, VP9 simulcast", codec="vp9", width=960, height=540, fps=20),
    Camera("av1", "Chromium, AV1 simulcast", codec="av1", width=960, height=540, fps=20),
    Camera("vp9-svc", "Chromium, VP9 L3T3_KEY", codec="vp9", mode="L3T3_KEY", width=960, height=540, fps=20),
    Camera("av1-svc", "Chromium, AV1 L3T3_KEY", codec="av1", mode="L3T3_KEY", width=960, height=540, fps=15),
    Camera("firefox", "Firefox, VP8 simulcast", browser="firefox", width=960, height=540, fps=20),
)}


class Stage:
    """A page with `window.stage`. `evaluate(expression)` is the subclass's part."""

    def evaluate(self, expression):
        raise NotImplementedError

    def call(self, name, *arguments):
        return self.evaluate(f"stage.{name}({', '.join(map(json.dumps, arguments))})")

    def can_send(self, codec):
        return self.call("canSend", codec)

    def join(self, room, who):
        self.call("join", room, who)
        return self

    def publish(self, camera, dynacast=True):
        self.call("publish", camera.options(dynacast))
        return self

    def layers(self):
        return self.call("layers")

    def sends(self, mode, seconds=12):
        """Begins to wait for a scalability mode; `when_off` ends that, too."""
        self.evaluate(f"void stage.expectMode({json.dumps(mode)}, {seconds * 1000:.0f})")

    def off(self, rids, seconds=10):
        """Begins to wait; `when_off` ends it."""
        self.evaluate(f"void stage.expectOff({json.dumps(rids)}, {seconds * 1000:.0f})")

    def when_off(self):
        return self.call("offResult")

    def watch(self):
        self.call("watch")
        return self

    def resize(self, seconds=10, **size):
        return self.call("resize", {**size, "ms": seconds * 1000})

    def hide(self):
        return self.call("hide")

    def received(self):
        return self.call("received")

    def shown(self):
        return self.call("shown")

    def widths(self):
        return self.call("widths")

    def close(self):
        raise NotImplementedError


class ChromiumStage(Stage):
    def __init__(self, browser, url):
        self.context = browser.new_context(viewport={"width": 1280, "height": 800})
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(url + PAGE)
        self.page.evaluate(SCRIPT)

    def evaluate(self, expression):
        return self.page.evaluate(f"async () => await ({expression})")

    def close(self):
        self.context.close()
        assert not self.errors, f"the page complained: {self.errors}"


class FirefoxStage(Stage):
    def __init__(self, url):
        self.browser = FirefoxBrowser()
        self.browser.send("browsingContext.navigate", context=self.browser.context, url=url + PAGE, wait="complete")
        self.evaluate(f"void ({SCRIPT})()")

    def evaluate(self, expression):
        return self.browser.evaluate(expression)

    def close(self):
        self.browser.close()


def sender(camera, browser, url):
    """A page that can send this camera, not joined yet."""
    return FirefoxStage(url) if camera.browser == "firefox" else ChromiumStage(browser, url)


def launch(playwright):
    return chromium.launch(playwright)
