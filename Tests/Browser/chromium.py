"""Chromium participants: one browser, a context for each person. Knows the page's test ids, and no protocol."""

import json
import os
import re
from pathlib import Path

from people import FAKE_MEDIA, Person

ARGUMENTS = [
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
    "--disable-dev-shm-usage",
]


def executable():
    return os.environ.get("SFU_CHROMIUM", "/usr/bin/chromium")


def launch(playwright, arguments=(), path=None):
    return playwright.chromium.launch(
        executable_path=path or executable(), headless=True, chromium_sandbox=False, args=[*ARGUMENTS, *arguments])


class ChromiumPerson(Person):
    """Somebody who opens the page, types a name and joins."""

    def __init__(self, browser, url, room, who, size=(1280, 800), mobile=False, token=None):
        self.who = who
        self.errors = []
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, has_touch=mobile, device_scale_factor=2 if mobile else 1)
        self.context.add_init_script(f"({FAKE_MEDIA})({json.dumps(who.as_dict())})")
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.goto(f"{url}/?room={room}{f'#token={token}' if token else ''}")

    def join(self):
        self.page.get_by_test_id("name").fill(self.who.name)
        self.page.get_by_test_id("join").click()
        self.page.get_by_test_id("call").wait_for()
        self.expect_live()
        return self

    def evaluate(self, expression):
        return self.page.evaluate(f"async () => await ({expression})")

    def click(self, test_id):
        self.page.get_by_test_id(test_id).click()

    def screenshot(self, name):
        folder = os.environ.get("SFU_SCREENSHOTS")
        if not folder:
            return
        Path(folder).mkdir(parents=True, exist_ok=True)
        # Tiles glide to their places.
        self.page.wait_for_timeout(700)
        size = self.page.viewport_size
        file = re.sub(r"\W+", "-", name)
        self.page.screenshot(path=f"{folder}/{file}-{size['width']}x{size['height']}.png")

    def screenshots(self, name):
        """Laptop and phone, of the same page."""
        if not os.environ.get("SFU_SCREENSHOTS"):
            return
        before = self.page.viewport_size
        for width, height in ((1280, 800), (390, 844)):
            self.page.set_viewport_size({"width": width, "height": height})
            self.screenshot(name)
        self.page.set_viewport_size(before)

    def leave(self):
        self.click("leave")
        self.page.get_by_test_id("lobby").wait_for()

    def close(self):
        assert not self.errors, f"{self.who.name}'s page complained: {self.errors}"
        self.context.close()
