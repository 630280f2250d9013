"""Hosts of a test's own: network namespaces on a bridge, each cut off and joined again as a test likes. To be run
in a network and mount namespace of the test's own (run_split.sh makes one), so that all of it ends with the test."""

import os, subprocess, sys

from house import Process, Skip, wait_for_port

BRIDGE, OWN = "10.77.0.1", "10.77.0"


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


class Host:
    """prefix: what starts a program there."""

    def __init__(self, name, address):
        self.name, self.address, self.cut_off = name, address, False
        self.prefix = ["ip", "netns", "exec", name]
        ip("netns", "add", name)
        ip("link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"to-{name}", "master", "bridge", "up")
        ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")

    def cut(self):
        """As by a pulled cable somewhere between: nobody is told, packets just do not arrive."""
        ip("link", "set", f"to-{self.name}", "nomaster")
        self.cut_off = True

    def heal(self):
        ip("link", "set", f"to-{self.name}", "master", "bridge")
        self.cut_off = False


class Network:
    def __init__(self):
        if os.getuid() != 0:
            raise Skip("network namespaces need root")
        try:
            ip("link", "add", "bridge", "type", "bridge")
            ip("addr", "add", f"{BRIDGE}/24", "dev", "bridge")
            ip("link", "set", "bridge", "up")
            ip("link", "set", "lo", "up")
            os.makedirs("/run/netns", exist_ok=True)
            subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True, capture_output=True)
            self.hosts = []
            self.add_host("probe")
        except (AssertionError, OSError, subprocess.CalledProcessError) as reason:
            raise Skip(f"no network namespaces here ({reason})")

    def add_host(self, name):
        host = Host(name, f"{OWN}.{len(self.hosts) + 10}")
        self.hosts.append(host)
        return host


class Delay:
    """A way to `there` (host, port) through a program on `host`, which holds back all that it passes on for some
    milliseconds, both ways: an address that answers slowly."""

    def __init__(self, host, port, there, folder, log):
        self.control = os.path.join(folder, f"delay-{port}")
        self.set(0)
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "delay.py")
        self.address = f"{host.address}:{port}"
        self.process = Process("delay", [sys.executable, program, host.address, str(port), there[0], str(there[1]), self.control], log, prefix=host.prefix)
        self.process.start()
        wait_for_port(host.address, port)

    def set(self, milliseconds):
        with open(self.control + ".new", "w") as file:
            file.write(str(milliseconds))
        os.rename(self.control + ".new", self.control)
        self.milliseconds = milliseconds

    def close(self):
        self.process.kill()
