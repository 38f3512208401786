"""The machine that is measured: what it is, what runs on it, and a network that nobody else uses. Knows no figures."""

import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import measured

ROOT = pathlib.Path(__file__).resolve().parents[1]
NAMESPACE_ADDRESS = "10.231.0.1"


def enter_namespace():
    """Starts this program again where it has the network to itself; the address is one that Janus gathers, and what is sent
    to it goes over loopback all the same."""
    script = (
        "ip link set lo up && ip link add bench0 type veth peer name bench1 && "
        f"ip address add {NAMESPACE_ADDRESS}/24 dev bench0 && ip link set bench0 up && ip link set bench1 up && "
        'exec "$@"'
    )
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, *sys.argv]
    os.execvpe("unshare", command, {**os.environ, "BENCH_ADDRESS": NAMESPACE_ADDRESS})


def may_unshare():
    """Containers may be refused it."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL).returncode == 0


def install_janus():
    if measured.janus.binary():
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise measured.Failure("janus is missing: install the package `janus`, or leave it out with --no-janus")
    print("Installing the package `janus` of this distribution.", file=sys.stderr)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--no-install-recommends", "janus"]):
        subprocess.run(["apt-get", "-q", "-y", *command], check=True, stdout=sys.stderr, env=environment)


def server(sfu):
    """The server with its load client: the binary that is named, else built here."""
    if sfu:
        return pathlib.Path(sfu).resolve()
    command = ["swift", "build", "-c", "release", "--package-path", ROOT, "--product", "sfu"]
    subprocess.run(command, check=True, stdout=sys.stderr)
    done = subprocess.run([*command, "--show-bin-path"], check=True, capture_output=True, text=True)
    return pathlib.Path(done.stdout.strip()) / "sfu"


def machine():
    """What the figures depend on."""

    def first(pattern, file):
        found = re.search(pattern, pathlib.Path(file).read_text(), re.M)
        return found[1].strip() if found else "unknown"

    system = first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release")
    openssl = subprocess.run(["openssl", "version"], capture_output=True, text=True).stdout.split()
    return {
        "processor": first(r"^model name\s*:\s*(.*)$", "/proc/cpuinfo"),
        "cores": len(os.sched_getaffinity(0)),
        "virtual": " hypervisor" in pathlib.Path("/proc/cpuinfo").read_text(),
        "memory_mib": int(first(r"^MemTotal:\s*(\d+)", "/proc/meminfo")) // 1024,
        "kernel": platform.release(),
        "system": system,
        "openssl": openssl[1] if len(openssl) > 1 else "unknown",
    }


def commit():
    def git(*arguments):
        done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    return {"commit": git("rev-parse", "HEAD") or "unknown", "changed": bool(git("status", "--porcelain", "-uno"))}
