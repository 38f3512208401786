"""The page of the example chat server: two people call each other in it."""

import json

import pytest
from chatserver import KEY, SECRET, ChatServer
from people import FAKE_MEDIA, GREEN, RED
from sfuserver import SFUServer, eventually, free_port


@pytest.fixture
def chat(tmp_path):
    port = free_port()
    settings = tmp_path / "sfu.yaml"
    settings.write_text(f"""
keys: {{chat: {KEY}}}
http: {{origins: ["http://127.0.0.1:{port}"]}}
webhooks: [{{url: "http://127.0.0.1:{port}/sfu-events", secrets: [{SECRET}]}}]
""")
    with SFUServer(arguments=("--config", str(settings)), log=tmp_path / "server.log") as server:
        started = ChatServer(tmp_path, server.url, port)
        started.start()
        yield started
        started.kill()


class ChatPage:
    def __init__(self, browser, chat, who):
        self.who = who
        self.errors = []
        self.context = browser.new_context(viewport={"width": 1000, "height": 700})
        self.context.add_init_script(f"({FAKE_MEDIA})({json.dumps(who.as_dict())})")
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(chat.url)
        self.page.locator("#login input").fill(who.name)
        self.page.get_by_role("button", name="Enter").click()
        self.page.locator("#who").get_by_text(who.name).wait_for()

    def expect_pictures(self, count):
        def pictures():
            playing = self.page.evaluate(
                "[...document.querySelectorAll('.tile video')].filter((v) => v.videoWidth && !v.paused).length")
            assert playing == count, f"{self.who.name} sees {playing} pictures: {self.errors}"
            return True
        eventually(pictures, 30)


def test_two_people_call_each_other(browser, chat):
    ruby, olive = ChatPage(browser, chat, RED), ChatPage(browser, chat, GREEN)
    try:
        ruby.page.get_by_placeholder("New conversation").fill("Gems")
        ruby.page.get_by_placeholder("with: bob, carol").fill("Olive")
        ruby.page.get_by_role("button", name="Create").click()
        ruby.page.get_by_role("button", name="Call", exact=True).click()
        olive.page.get_by_text("Ruby is calling: Gems").wait_for()
        olive.page.get_by_role("button", name="Answer").click()
        ruby.expect_pictures(2)
        olive.expect_pictures(2)
        olive.page.locator("#title").get_by_text("in call: Olive, Ruby").wait_for()
        olive.page.get_by_placeholder("Message").fill("good to see you")
        olive.page.get_by_role("button", name="Send").click()
        ruby.page.get_by_text("Olive: good to see you").wait_for()
        for one in (ruby, olive):
            one.page.get_by_role("button", name="Leave").click()
        ruby.page.get_by_text("Call ended after").wait_for()
        ruby.page.get_by_role("button", name="Call", exact=True).wait_for()
        assert ruby.page.locator(".tile").count() == 0
        assert ruby.errors == [] and olive.errors == []
    finally:
        for one in (ruby, olive):
            one.context.close()
