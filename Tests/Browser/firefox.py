"""Firefox participants over WebDriver BiDi: one headless browser for each. No driver program is needed in between."""

import contextlib
import itertools
import json
import os
import queue
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from websockets.sync.client import connect

from people import FAKE_MEDIA, Person
from sfuserver import die_with_parent, eventually

PREFERENCES = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # Without a sound device no AudioContext would run.
    "media.cubeb.force_mock_context": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "dom.timeout.enable_budget_timer_throttling": False,
}


def executable():
    found = os.environ.get("SFU_FIREFOX") or shutil.which("firefox-esr") or shutil.which("firefox")
    assert found, "no Firefox here: scripts/setup --tests installs it"
    return found


class FirefoxBrowser:
    """One process and one BiDi session."""

    def __init__(self, width=1280, height=800):
        self.profile = Path(tempfile.mkdtemp(prefix="sfu-firefox-"))
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (self.profile / "user.js").write_text("".join(lines))
        self.process = subprocess.Popen(
            [executable(), "--headless", "--no-remote", f"--width={width}", f"--height={height}",
             "--profile", str(self.profile), "--remote-debugging-port=0", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace", preexec_fn=die_with_parent,
            env={**os.environ, "MOZ_HEADLESS": "1", "HOME": str(self.profile)})
        self._address = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self._ids = itertools.count(1)
        url = self._address.get(timeout=60)
        self._open = contextlib.ExitStack()
        self.socket = self._open.enter_context(connect(f"{url}/session", max_size=None, compression=None))
        self.send("session.new", capabilities={"alwaysMatch": {}})
        self.context = self.send("browsingContext.getTree")["contexts"][0]["context"]

    def _read(self):
        for line in self.process.stderr:
            found = re.search(r"WebDriver BiDi listening on (ws://\S+)", line)
            if found:
                self._address.put(found[1])

    def send(self, method, timeout=60, **parameters):
        number = next(self._ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        deadline = time.monotonic() + timeout
        while True:
            answer = json.loads(self.socket.recv(timeout=max(0.1, deadline - time.monotonic())))
            if answer.get("id") != number:
                continue
            assert answer["type"] == "success", f"{method}: {answer.get('error')}: {answer.get('message')}"
            return answer["result"]

    def evaluate(self, expression):
        answer = self.send(
            "script.evaluate", awaitPromise=True, target={"context": self.context}, userActivation=True,
            expression=f"(async () => JSON.stringify(await ({expression})) ?? 'null')()")
        assert answer["type"] == "success", answer["exceptionDetails"]["text"]
        return json.loads(answer["result"]["value"])

    def close(self):
        try:
            self.send("browser.close", timeout=10)
            self.process.wait(15)
        except (AssertionError, OSError, TimeoutError, subprocess.TimeoutExpired):
            pass
        finally:
            self._open.close()
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.profile, ignore_errors=True)


class FirefoxPerson(Person):
    def __init__(self, browser, url, room, who):
        self.who = who
        self.browser = browser
        browser.send("script.addPreloadScript", functionDeclaration=f"() => ({FAKE_MEDIA})({json.dumps(who.as_dict())})")
        browser.send("browsingContext.navigate", context=browser.context, url=f"{url}/?room={room}", wait="complete")

    def join(self):
        self.evaluate(f"document.getElementById('name').value = {json.dumps(self.who.name)}")
        self.click("join")
        eventually(lambda: self.evaluate("!document.getElementById('call').hidden"), 20, what="Firefox joins")
        self.expect_live(40)
        return self

    def evaluate(self, expression):
        return self.browser.evaluate(expression)

    def click(self, test_id):
        self.evaluate(f"document.querySelector('[data-testid={test_id}]').click()")

    def close(self):
        self.browser.close()
