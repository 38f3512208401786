"""Firefox and Chromium in one room."""

import pytest

from firefox import FirefoxBrowser, FirefoxPerson
from people import BLUE, GREEN, RED
from sfuserver import eventually, own_address

# Firefox pairs none of its addresses with 127.0.0.1.
ADDRESSES = ("127.0.0.1", *filter(None, [own_address()]))


@pytest.fixture
def fox(server, room):
    browser = FirefoxBrowser()
    yield lambda who: FirefoxPerson(browser, server.url, room, who).join()
    browser.close()


def test_firefox_and_chromium_see_and_hear_each_other(people, fox):
    ruby = people(RED)
    olive = fox(GREEN)
    for one, other in ((ruby, olive), (olive, ruby)):
        one.expect_others(other.who)
        one.expect_sees(other.who)
        one.expect_moving(other.who)
        one.expect_hears(other.who)
    # Somebody more, after Firefox has negotiated.
    indigo = people(BLUE)
    olive.expect_sees(BLUE)
    olive.expect_hears(BLUE)
    indigo.expect_sees(GREEN)
    indigo.expect_hears(GREEN)
    # And a screen, which is one more section of theirs and one more slot of ours.
    ruby.click("screen")
    olive.expect_sees(RED, "screen")
    # Firefox shares, too.
    olive.click("screen")
    ruby.expect_sees(GREEN, "screen")
    indigo.expect_sees(GREEN, "screen")
    olive.click("leave")
    ruby.expect_others(BLUE)


def test_who_cannot_decode_gets_a_reason_and_no_black_tile(people, fox):
    """Chromium offers H.264 alone, which this Firefox has no decoder for."""
    olive = fox(GREEN)
    if olive.evaluate("RTCRtpReceiver.getCapabilities('video').codecs.some((one) => /h264/i.test(one.mimeType))"):
        # A Firefox with OpenH264 has to show the picture instead.
        people(RED, before_join=h264_only)
        olive.expect_sees(RED)
        return
    indigo = people(BLUE)
    people(RED, before_join=h264_only)
    indigo.expect_sees(RED)
    olive.expect_others(RED, BLUE)

    def told():
        slot = olive.evaluate(f"sfuTest.slot({RED.name!r})")
        assert slot.get("reason") == "codec", f"the slot says {slot}"
        seen = olive.look(RED)
        assert seen["state"] == "paused" and "H.264" in seen["note"], f"the tile says {seen}"
        return True
    eventually(told, 25)
    olive.expect_sees(BLUE)
    olive.expect_hears(RED)


def h264_only(page):
    page.evaluate("""() => {
      const all = RTCRtpSender.getCapabilities;
      RTCRtpSender.getCapabilities = (kind) => {
        const had = all.call(RTCRtpSender, kind);
        return kind === 'video' ? { ...had, codecs: had.codecs.filter((one) => /h264|rtx/i.test(one.mimeType)) } : had;
      };
    }""")
