"""What a tile shows follows its size, and what nobody watches is not sent: real encoders, real decoders.

How fast that is measures bench/layers; here everything just has to happen.
"""

from contextlib import ExitStack

import pytest

import switching
from conftest import cannot
from sfuserver import eventually, own_address

# Firefox pairs none of its addresses with 127.0.0.1.
ADDRESSES = ("127.0.0.1", *filter(None, [own_address()]))

# Three layers begin at 960 × 540; more would only keep the cores busy.
CAMERAS = [switching.CAMERAS[key].sized(960, 540, 20) for key in ("vp8", "vp9-svc", "av1-svc", "h264", "firefox")]


@pytest.fixture(params=CAMERAS, ids=lambda camera: camera.key)
def camera(request):
    return request.param


@pytest.fixture
def stages(browser, server, room, camera):
    """A page that sends the camera, and one that watches it in a large tile."""
    with ExitStack() as open_pages:
        sender = switching.sender(camera, browser, server.url)
        open_pages.callback(sender.close)
        if not sender.can_send(camera.codec):
            cannot(f"{camera.browser} has no encoder for {camera.codec}")
        viewer = switching.ChromiumStage(browser, server.url)
        open_pages.callback(viewer.close)
        sender.join(room, "sender").publish(camera)
        viewer.join(room, "viewer").watch()
        shows(viewer, camera.large, seconds=30)
        yield sender, viewer
    eventually(lambda: server.metric("sfu_sessions") == 0, 30, what="the media plane forgets the sessions")


def shows(viewer, size, seconds=10):
    """Makes the tile that large and waits for a frame of the layer that fits."""
    changed = viewer.resize(seconds, **size)
    assert changed["took"] is not None, f"{size} brought {changed['width']} pixels: {viewer.shown()}"


def is_sending(sender, rid):
    """Frames go out under this rid."""
    def frames():
        return {one["rid"]: one["frames"] for one in sender.layers()}[rid]
    before = frames()
    return eventually(lambda: frames() > before, 10, what=f"the sender sends {rid or 'its stream'}")


def expect_off(sender, rids, action):
    """`action` makes `rids` needless, and the sender stops them."""
    sender.off(rids, 12)
    action()
    assert sender.when_off() is not None, f"the sender goes on: {sender.layers()}; it is asked for {sender.call('demand')}"


def expect_layers(sender, viewer, camera, count, size):
    """The sender comes to send so many spatial layers in one stream, and the picture goes on in the same size."""
    def fits(width):
        return size.get("least", 0) <= width <= size.get("most", camera.width)

    def sends():
        only, = sender.layers()
        assert only["mode"] == camera.mode_for(count) and fits(only["width"]), \
            f"the sender sends {only}; it is asked for {sender.call('demand')}"
        return True
    eventually(sends, 20)

    def says():
        widths = viewer.widths()
        assert len(widths) == count and fits(widths[-1]), f"the server says {widths}"
        return True
    eventually(says, 20)
    # The sender's encoder began anew meanwhile.
    shows(viewer, size)


def test_layers_follow_the_tile(stages, camera):
    sender, viewer = stages
    assert {one["codec"].lower() for one in sender.layers() if one.get("codec")} == {camera.codec}
    assert [one["rid"] for one in sender.layers()] == camera.rids
    if camera.is_layered:
        for layers, size in ((1, camera.small), (3, camera.large), (2, camera.middle), (3, camera.large)):
            shows(viewer, size)
            expect_layers(sender, viewer, camera, layers, size)
    else:
        expect_off(sender, camera.rids[1:], lambda: shows(viewer, camera.small))
    shows(viewer, camera.large)
    is_sending(sender, camera.rids[-1])
    shows(viewer, camera.small)
    shows(viewer, camera.large)
    # Hidden, it costs its viewer nothing at once, and its sender soon.
    expect_off(sender, camera.rids, viewer.hide)
    shows(viewer, camera.large)
