"""Two offers meet: each side gets an answer to its own offer, with what both have."""

import pytest
import sdp


def lines(*all_lines):
    return "".join(line + "\r\n" for line in all_lines)


CLIENT = lines(
    "v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63", "c=IN IP4 0.0.0.0", "a=ice-ufrag:cccc", "a=ice-pwd:clientpassword",
    "a=fingerprint:sha-256 AA:BB", "a=setup:actpass", "a=rtcp-mux", "a=mid:0", "a=recvonly",
    "a=rtpmap:111 opus/48000/2", "a=rtpmap:63 red/48000/2", "a=extmap:1 urn:level", "a=extmap:4 urn:mid",
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97", "c=IN IP4 0.0.0.0", "a=ice-ufrag:cccc", "a=ice-pwd:clientpassword",
    "a=fingerprint:sha-256 AA:BB", "a=setup:actpass", "a=mid:1", "a=recvonly", "a=rtpmap:96 VP8/90000",
    "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96", "a=rtcp-fb:96 nack", "a=rtcp-fb:96 nack pli",
)  # fmt: skip

# Video comes first, the transport is said once, another extension has the client's number.
SERVER = lines(
    "v=0", "o=- 7 1 IN IP4 10.0.0.1", "s=room", "t=0 0", "a=group:BUNDLE v a", "a=ice-lite",
    "a=fingerprint:sha-256 11:22", "m=video 9 UDP/TLS/RTP/SAVPF 96 98", "c=IN IP4 10.0.0.1", "a=sendonly", "a=mid:v",
    "a=rtcp-mux", "a=ice-ufrag:ssss", "a=ice-pwd:serverpassword", "a=setup:actpass", "a=rtpmap:96 vp8/90000",
    "a=rtpmap:98 H264/90000", "a=rtcp-fb:96 nack pli", "a=rtcp-fb:96 goog-remb", "a=extmap:4 urn:other",
    "a=candidate:1 1 udp 2015363327 10.0.0.1 20299 typ host", "a=end-of-candidates",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111", "c=IN IP4 10.0.0.1", "a=sendonly", "a=mid:a", "a=ice-ufrag:ssss",
    "a=ice-pwd:serverpassword", "a=setup:actpass", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 useinbandfec=1",
    "a=extmap:1 urn:level", "a=candidate:1 1 udp 2015363327 10.0.0.1 20299 typ host",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:d", "a=ice-ufrag:ssss",
)  # fmt: skip


def test_each_side_is_answered_in_its_own_order_and_with_its_own_names():
    for_server, for_client = map(sdp.Description.parse, sdp.answers(SERVER, CLIENT))
    assert [(one.kind, one.value("mid")) for one in for_server.sections] == [
        ("video", "v"),
        ("audio", "a"),
        ("application", "d"),
    ]
    assert [(one.kind, one.value("mid")) for one in for_client.sections] == [("audio", "0"), ("video", "1")]
    assert "a=group:BUNDLE v a" in for_server.lines and "a=group:BUNDLE 0 1" in for_client.lines


def test_transports_cross():
    for_server, for_client = map(sdp.Description.parse, sdp.answers(SERVER, CLIENT))
    for section in for_server.sections[:2]:
        assert section.value("ice-ufrag") == "cccc" and section.value("ice-pwd") == "clientpassword"
        assert section.value("fingerprint") == "sha-256 AA:BB" and section.value("setup") == "active"
        assert "a=recvonly" in section.lines and not section.values("candidate")
    for section in for_client.sections:
        assert section.value("ice-ufrag") == "ssss" and section.value("fingerprint") == "sha-256 11:22"
        assert section.value("setup") == "passive" and "a=sendonly" in section.lines
    # Bundled: the first section has them all, each once.
    candidates = [section.values("candidate") for section in for_client.sections]
    assert candidates == [["1 1 udp 2015363327 10.0.0.1 20299 typ host"], []]


def test_only_what_both_name_is_agreed_on():
    for_server, for_client = map(sdp.Description.parse, sdp.answers(SERVER, CLIENT))
    video = for_server.sections[0]
    assert video.formats == ["96"] and video.values("rtcp-fb") == ["96 nack pli"] and not video.values("extmap")
    audio = for_client.sections[0]
    assert audio.formats == ["111"] and audio.values("extmap") == ["1 urn:level"]
    assert for_client.sections[1].formats == ["96"]


def test_sections_without_a_common_codec_are_refused():
    audio_only = SERVER.replace("96 vp8", "96 AV1")
    for_server, for_client = sdp.answers(audio_only, CLIENT)
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96" in for_server
    assert "m=video 0 UDP/TLS/RTP/SAVPF 96" in for_client
    assert "a=group:BUNDLE a\r\n" in for_server and "a=group:BUNDLE 0\r\n" in for_client
    # The candidate goes to the section that is left.
    assert for_client.index("a=candidate:") < for_client.index("m=video")


@pytest.mark.parametrize(
    "server, what",
    [
        (SERVER.replace("96 vp8", "96 AV1").replace("opus", "G722"), "codec in common"),
        (SERVER.replace("a=ice-pwd", "a=pwd"), "ice-pwd"),
        ("v=0\r\nm=audio\r\n", "cut off"),
        ("", "codec in common"),
    ],
)
def test_offers_that_cannot_meet_say_why(server, what):
    with pytest.raises(sdp.Mismatch, match=what):
        sdp.answers(server, CLIENT)
