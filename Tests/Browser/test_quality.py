"""How well the call arrives, as the page says it: bars, why a picture is small, and the panel about one's own connection."""

import pytest

import chromium
from people import BLUE, GREEN, RED
from remote import launch_inside, namespace  # noqa: F401
from sfuserver import SFUServer, eventually

QUALITY = "sfuRoom.{who}.quality && {{ ...sfuRoom.{who}.quality, up: sfuRoom.{who}.quality.up, down: sfuRoom.{who}.quality.down }}"


def own(person):
    return person.evaluate(QUALITY.format(who="me"))


def other(person):
    """Of the only other one."""
    return person.evaluate("[...sfuRoom.participants.values()][0]?.quality ?? null")


def test_a_good_call_says_so(people):
    ruby, olive = people(RED), people(GREEN)
    ruby.expect_sees(GREEN)
    quality = eventually(lambda: (one := own(ruby)) and one["up"] and one["down"] and one, 30, what="both directions are judged")
    assert quality["score"] >= 3.5, quality
    assert quality["down"]["detail"]["text"] and quality["down"]["detail"]["rttMs"] < 200
    eventually(lambda: (one := other(ruby)) and one["up"]["score"] >= 3.5 and one["up"]["detail"] is None, 20,
               what="the other one's quality is told, without figures")
    ruby.click("quality")
    panel = ruby.page.get_by_test_id("connection-panel")
    panel.wait_for()
    eventually(lambda: "What you receive" in panel.inner_text() and "What you send" in panel.inner_text(), 10)
    assert "There and back" in panel.inner_text() and "Over " in panel.inner_text()
    ruby.screenshots("connection panel of a good call")
    ruby.page.keyboard.press("Escape")
    ruby.click("people")
    row = ruby.page.locator("#people-list .bars").first
    assert row.get_attribute("role") == "img" and "Connection" in row.get_attribute("aria-label")
    ruby.screenshots("people with bars")


@pytest.fixture
def lossy(playwright, namespace, room, tmp_path):
    """A server, somebody beside it, and somebody behind a network of its own."""
    with SFUServer(("127.0.0.1", namespace.here), log=tmp_path / "server.log") as server:
        browser = launch_inside(playwright, server, namespace, tmp_path)
        beside = chromium.launch(playwright)
        olive = chromium.ChromiumPerson(browser, server.url_at(namespace.here), room, GREEN)
        ruby = chromium.ChromiumPerson(beside, server.url, room, RED)
        yield ruby.join(), olive.join()
        for person in (ruby, olive):
            person.errors.clear()
            person.close()
        browser.close()
        beside.close()


def test_loss_is_told_to_whom_it_belongs(lossy, namespace):
    ruby, olive = lossy
    ruby.expect_sees(GREEN)
    olive.expect_sees(RED)
    eventually(lambda: own(olive) and own(ruby), 30, what="both are judged")
    # At 30 % redundancy hides so much that a call may go on being excellent.
    namespace.lose(50)
    bad = eventually(lambda: (one := own(olive)) and one["down"] and one["down"]["score"] < 4.3 and one["down"], 60,
                     what="the one behind it reads of its bad downlink")
    # The estimator may give way. What is said is a mean of the last seconds.
    assert bad["reason"] in ("loss", "bandwidth", "frozen") and 50 <= bad["detail"]["lossPermille"] <= 450, bad
    assert "downlink" in bad["detail"]["text"] or "pictures" in bad["detail"]["text"], bad
    told = eventually(lambda: (one := other(ruby)) and one["down"] and one["down"]["bars"] < 4 and one, 20, what="the other one is told")
    assert told["down"]["detail"] is None
    assert (own(ruby)["down"] or {"score": 5})["score"] >= 4, own(ruby)
    olive.click("quality")
    olive.screenshots("connection panel of a lossy call")
    olive.page.keyboard.press("Escape")
    namespace.lose(0)
    eventually(lambda: own(olive)["down"]["score"] >= 4, 60, what="it is well again")


# What a narrow path does to pictures is for the estimator's tests; here it is what the page makes of the server's words.
NARROW = """(() => {
  const camera = [...sfuRoom.participants.values()].map((one) => one.camera).find((one) => one?.slot);
  const others = [...sfuRoom.participants.values()];
  const direction = (score, reason, detail) => ({ score, reason, detail });
  const detail = { video: 34, audio: 44, lossPermille: 41, rttMs: 62, jitterMs: 9, kbps: 590, estimateKbps: 622, queueMs: 35, bound: 'delay',
    text: 'Your downlink is about 620 kbit/s, 4 % loss.' };
  const say = (name, data) => sfuRoom._qualities.set(name, sfuTest.normalizeQuality(data));
  say(sfuRoom.me.pid, { up: direction(50, 'none', { audio: 50, video: 50, lossPermille: 0, rttMs: 62, jitterMs: 2, kbps: 1900, text: 'Your uplink is fine.' }), down: direction(34, 'bandwidth', detail) });
  say(others[0].pid, { up: direction(20, 'loss') });
  say(others[1].pid, { up: direction(10, 'silent') });
  sfuRoom.slots.set(camera.slot.mid, { ...camera.slot, reason: 'bandwidth', neededKbps: 1940, availableKbps: 622 });
  sfuRoom._slotsChanged();
  for (const participant of [sfuRoom.me, ...others]) sfuRoom._emit('quality', { participant, quality: participant.quality });
})()"""


def test_a_picture_says_why_it_is_small(people):
    ruby, _, _ = people(RED), people(GREEN), people(BLUE)
    for who in (GREEN, BLUE):
        ruby.expect_sees(who)
    ruby.evaluate("import('/sdk/sfu.js').then((sdk) => { sfuTest.normalizeQuality = sdk.normalizeQuality; })")
    ruby.evaluate(NARROW)
    why = ruby.page.get_by_test_id("why-small").filter(visible=True).first
    assert "your downlink is about 620 kbit/s, 4 % loss" in why.get_attribute("aria-label")
    ruby.screenshots("a picture says why it is small")
    ruby.evaluate(NARROW)
    why.click()
    assert "620 kbit/s" in ruby.page.get_by_test_id("toasts").inner_text()
    ruby.evaluate(NARROW)
    ruby.click("quality")
    ruby.screenshots("connection panel of a narrow path")
