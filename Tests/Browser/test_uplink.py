"""The uplink of one person is too narrow for voice and picture: the picture goes, is said to be gone, and comes back."""

import subprocess
import time

from netns import Namespace, run
from people import RED
from remote import browser_inside, namespace, olive, server  # noqa: F401
from sfuserver import eventually


class Narrow(Namespace):
    """What comes out of it by UDP passes at a rate; what is above it is lost on the way."""

    @property
    def table(self):
        return f"narrow{self.link}"

    def narrow(self, kilobytes):
        run("nft", "add", "table", "ip", self.table)
        run("nft", "add", "chain", "ip", self.table, "in", "{ type filter hook prerouting priority -300 ; policy accept ; }")
        run("nft", "add", "rule", "ip", self.table, "in", "iifname", self.link, "meta", "l4proto", "udp",
            "limit", "rate", "over", str(kilobytes), "kbytes/second", "burst", "4", "kbytes", "counter", "drop")

    def widen(self):
        subprocess.run(["nft", "delete", "table", "ip", self.table], stderr=subprocess.DEVNULL)

    def __exit__(self, *how):
        self.widen()
        super().__exit__(*how)


NETWORK = Narrow


def voice(person):
    """Packets of a person's voice that were sent, and those that the server misses."""
    return person.evaluate("""(async () => {
      let sent = 0, lost = 0;
      for (const stat of (await window.sfuRoom.me.microphone.sender.getStats()).values()) {
        if (stat.type === 'outbound-rtp') sent += stat.packetsSent;
        if (stat.type === 'remote-inbound-rtp') lost += stat.packetsLost;
      }
      return { sent, lost, level: window.sfuRoom.uplink.level };
    })()""")


def test_a_picture_gives_way_to_the_voice_and_comes_back(people, server, namespace, olive):
    ruby = people(RED)
    for one, other in ((ruby, olive), (olive, ruby)):
        one.expect_sees(other.who, timeout=40)
        one.expect_hears(other.who)
    time.sleep(5)
    namespace.narrow(9)
    eventually(lambda: olive.evaluate("window.sfuRoom.uplink.level") >= 2, 60, what="the picture gives way")
    eventually(lambda: olive.evaluate("!document.getElementById('uplink').hidden && document.getElementById('uplink-text').textContent")
               == olive.evaluate("window.sfuRoom.uplink.text"), 5, what="the page says so")
    olive.screenshots("uplink")
    # What it still takes to settle.
    time.sleep(15)
    before = voice(olive)
    time.sleep(10)
    after = voice(olive)
    loss = (after["lost"] - before["lost"]) / max(1, after["sent"] - before["sent"])
    print(f"level {after['level']}, {loss:.3f} of the voice lost")
    assert loss <= 0.05, f"{loss:.3f} of the voice are lost, at level {after['level']}"
    ruby.expect_hears(olive.who)
    namespace.widen()
    eventually(lambda: olive.evaluate("window.sfuRoom.uplink.level") == 0, 120, what="all layers are sent again")
    ruby.expect_moving(olive.who)
    assert olive.evaluate("document.getElementById('uplink').hidden")
