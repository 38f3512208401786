"""A network namespace joined to this machine by a pair of virtual interfaces, with rules of its own. Needs root."""

import os
import subprocess


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
    return done.stdout


class Namespace:
    """`here` and `there` are the two ends' addresses."""

    def __init__(self, number=1):
        tag = f"{os.getpid() % 10_000}{number}"
        self.name = f"sfu-{tag}"
        self.link = f"sfuh{tag}"
        self.subnet = f"10.{60 + number}.{os.getpid() % 250}"
        self.here = f"{self.subnet}.1"
        self.there = f"{self.subnet}.2"

    def __enter__(self):
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.name)
            run("ip", "address", "add", f"{self.here}/24", "dev", self.link)
            run("ip", "link", "set", self.link, "up")
            self.inside("ip", "address", "add", f"{self.there}/24", "dev", "eth0")
            self.inside("ip", "link", "set", "lo", "up")
            self.inside("ip", "link", "set", "eth0", "up")
            self.inside("ip", "route", "add", "default", "via", self.here)
        except AssertionError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        # A process that is still in it keeps it, and the pair with it.
        subprocess.run(["ip", "link", "delete", self.link], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "delete", self.name], stderr=subprocess.DEVNULL)

    def inside(self, *command):
        return run("ip", "netns", "exec", self.name, *command)

    def block_udp(self):
        """As a strict company network does: nothing but TCP gets out or in."""
        self.inside("nft", "add", "table", "ip", "filter")
        for hook in ("input", "output"):
            self.inside("nft", "add", "chain", "ip", "filter", hook,
                        f"{{ type filter hook {hook} priority 0 ; policy accept ; }}")
            self.inside("nft", "add", "rule", "ip", "filter", hook, "meta", "l4proto", "udp", "counter", "drop")

    def lose(self, percent):
        """Each UDP datagram that comes in is lost with this probability."""
        subprocess.run(["ip", "netns", "exec", self.name, "nft", "delete", "table", "ip", "loss"], stderr=subprocess.DEVNULL)
        if not percent:
            return
        self.inside("nft", "add", "table", "ip", "loss")
        self.inside("nft", "add", "chain", "ip", "loss", "input", "{ type filter hook input priority -5 ; policy accept ; }")
        self.inside("nft", "add", "rule", "ip", "loss", "input", "meta", "l4proto", "udp", "numgen", "random", "mod", "100", "<", str(percent), "drop")

    def cut(self):
        """Silence, without a word to anybody: every packet is dropped."""
        self.inside("nft", "add", "table", "ip", "silence")
        for hook in ("input", "output"):
            self.inside("nft", "add", "chain", "ip", "silence", hook,
                        f"{{ type filter hook {hook} priority -10 ; policy drop ; }}")

    def mend(self):
        self.inside("nft", "delete", "table", "ip", "silence")

    def unplug(self):
        """As a cable: the browser is told that it is offline."""
        self.inside("ip", "link", "set", "eth0", "down")

    def plug(self):
        self.inside("ip", "link", "set", "eth0", "up")
        self.inside("ip", "route", "replace", "default", "via", self.here)

    def move(self):
        """As from one network into another: the address is gone, and there is another one."""
        former, self.there = self.there, f"{self.subnet}.{int(self.there.rsplit('.', 1)[1]) + 1}"
        self.inside("ip", "address", "delete", f"{former}/24", "dev", "eth0")
        self.inside("ip", "address", "add", f"{self.there}/24", "dev", "eth0")
        self.inside("ip", "route", "replace", "default", "via", self.here)

    def dropped_packets(self):
        listing = self.inside("nft", "list", "table", "ip", "filter")
        return sum(int(line.split("packets ")[1].split()[0]) for line in listing.splitlines() if "packets " in line)

    def wrapper(self, folder, program):
        """A script that starts `program` inside, for launchers that take only a path."""
        script = folder / "inside"
        script.write_text(f"#!/bin/sh\nexec ip netns exec {self.name} {program} \"$@\"\n")
        script.chmod(0o755)
        return str(script)
