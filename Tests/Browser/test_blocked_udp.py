"""Somebody whose network lets only TCP through is in the call all the same."""

import chromium
from people import BLUE, GREEN, RED
from remote import browser_inside, namespace, server  # noqa: F401


def test_media_comes_by_tcp_where_udp_is_blocked(people, server, namespace, browser_inside, room):
    namespace.block_udp()
    ruby = people(RED)
    olive = chromium.ChromiumPerson(browser_inside, server.url_at(namespace.here), room, GREEN).join()
    for one, other in ((ruby, olive), (olive, ruby)):
        one.expect_sees(other.who)
        one.expect_moving(other.who)
        one.expect_hears(other.who)
    assert olive.evaluate("sfuTest.protocol()") == "tcp"
    assert ruby.evaluate("sfuTest.protocol()") == "udp"
    assert namespace.dropped_packets() > 0, "nothing was blocked, so nothing was tested"
    # Somebody more comes in: another negotiation on the same path.
    people(BLUE)
    olive.expect_sees(BLUE)
    assert server.metric("sfu_ice_tcp_connections") >= 1
    olive.close()
