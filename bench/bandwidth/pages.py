"""One run with Chromium: a link, and behind it somebody who watches on the conference page without sending anything. A process of
its own, as viewers.py: reads a JSON object from standard input, and prints what the link reported and what the viewers saw.

A picture's time is the one at which Chromium handed it on to be shown."""

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "Tests/Browser")]

from playwright.async_api import async_playwright  # noqa: E402

import behind  # noqa: E402
import chromium  # noqa: E402
import emulator  # noqa: E402

SCRIPT = Path(__file__).with_name("pages.js").read_text(encoding="utf-8")
SIZE = {"width": 1280, "height": 800}


def counted(sample):
    """Of what a browser counts, what viewers.py does, under the same names."""
    def camel(name):
        head, *rest = name.split("_")
        return head + "".join(map(str.capitalize, rest))
    return {kind: {name: sample[kind].get(camel(name)) or 0 for name in names}
            for kind, names in behind.COUNTED.items() if sample[kind]}


class Viewer:
    def __init__(self, browser, url, link):
        self.browser, self.url, self.link = browser, url, link
        self.ports, self.errors = {}, []

    async def open(self):
        context = await self.browser.new_context(viewport=SIZE)
        await context.add_init_script(f"({SCRIPT})({behind.INTERVAL * 1000})")
        self.page = await context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        await self.page.expose_function("throughLink", self.lead)
        await self.page.goto(self.url)
        await self.page.get_by_test_id("name").fill("Viewer")

    async def lead(self, peer, answer):
        """The way is found once for each connection: later answers of it name the same one."""
        if peer not in self.ports:
            self.ports[peer] = await self.link.flow(answer)
        return emulator.led(answer, self.link.address, self.ports[peer])

    async def join(self):
        # The page's clock against this process's, read where the answer took the least time.
        readings = []
        for _ in range(5):
            before = time.monotonic()
            page = await self.page.evaluate("performance.now()")
            after = time.monotonic()
            readings.append((after - before, (before + after) / 2 - page / 1000))
        self.offset = min(readings)[1] - self.link.started
        self.joined = round(time.monotonic() - self.link.started, 4)
        await self.page.get_by_test_id("join-listen").click()

    async def leave(self):
        self.noted = await self.page.evaluate("window.noted")
        await self.page.get_by_test_id("leave").click()
        await self.page.get_by_test_id("lobby").wait_for()
        await self.page.context.close()
        if self.errors or len(self.ports) != 1:
            raise emulator.LinkError(f"the page made {len(self.ports)} connections and complained of {self.errors}")

    def at(self, milliseconds):
        return None if milliseconds is None else round(milliseconds / 1000 + self.offset, 4)

    @property
    def seen(self):
        noted = self.noted
        return {
            "joined": self.joined, "connected": self.at(noted["connected"]),
            "pictures": [(self.at(at), height) for at, height in noted["pictures"]],
            "samples": [{"at": self.at(one["at"])} | counted(one) for one in noted["samples"]],
            "said": [(self.at(at), words) for at, words in noted["said"]],
        }


async def run(order):
    async with async_playwright() as playwright:
        browser = await chromium.launch(playwright)
        try:
            found = await behind.run(order, lambda url, link: Viewer(browser, url, link))
        finally:
            await browser.close()
    return found | {"browser": browser.version}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))), flush=True)
