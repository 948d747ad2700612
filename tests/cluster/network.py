"""The network of an embedded cluster: a namespace, a pair of virtual cards, and two routes on the host."""

import hashlib
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.commands import run

Network = ipaddress.IPv4Network
# Parts of the private range 10/8 that home routers, offices and Kubernetes itself seldom use, best first.
CANDIDATES = tuple(Network(f"10.{number}.0.0/16") for number in range(213, 250))


class NoFreeNetwork(RuntimeError):
    """Every range that a cluster could use overlaps a route of this machine."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How one /16 is shared out: the lower half for pods, then services, and the link at the very end.

    >>> plan = Plan(ipaddress.ip_network("10.213.0.0/16"))
    >>> print(plan.pods, plan.services, plan.dns, plan.host, plan.node)
    10.213.0.0/17 10.213.128.0/20 10.213.128.10 10.213.255.1 10.213.255.2
    """

    whole: Network

    @property
    def pods(self) -> Network:
        return next(self.whole.subnets(new_prefix=17))

    @property
    def services(self) -> Network:
        return Network((int(self.whole.network_address) + (128 << 8), 20))

    @property
    def dns(self) -> str:
        return str(self.services[10])

    @property
    def host(self) -> str:
        return str(self.whole[(255 << 8) + 1])

    @property
    def node(self) -> str:
        return str(self.whole[(255 << 8) + 2])


def choose(taken: Iterable[Network]) -> Plan:
    """The first candidate that overlaps nothing that is taken."""
    occupied = list(taken)
    for candidate in CANDIDATES:
        if not any(candidate.overlaps(network) for network in occupied):
            return Plan(candidate)
    raise NoFreeNetwork(f"no free network for pods and services among {CANDIDATES[0]} … {CANDIDATES[-1]}")


def in_use() -> list[Network]:
    """Every network this machine has a route to, the default route aside."""
    routes: list[dict[str, Any]] = json.loads(run(["ip", "-json", "-4", "route", "show", "table", "all"]) or "[]")
    results = []
    for route in routes:
        try:
            results.append(ipaddress.ip_network(route["dst"], strict=False))
        except (KeyError, ValueError):
            continue  # "default", and IPv6
    return [network for network in results if network.version == 4 and network.prefixlen]


def card(name: str) -> str:
    """The host's end of the link; an interface name has 15 characters at most.

    >>> card("tidemill")
    'tide-6ced87fd'
    """
    return f"tide-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def create(name: str, plan: Plan, namespace: Path) -> None:
    """Make the namespace and join it to the host."""
    namespace.touch()
    # Bound to a file of ours rather than by `ip netns`, which would make /run/netns a mount for good.
    run(["unshare", f"--net={namespace}", "true"])
    outside = card(name)
    run(["ip", "link", "add", outside, "type", "veth", "peer", "name", "uplink", "netns", namespace])
    run(["ip", "address", "add", f"{plan.host}/30", "dev", outside])
    run(["ip", "link", "set", outside, "up"])
    inside = ["nsenter", f"--net={namespace}"]
    run([*inside, "ip", "link", "set", "lo", "up"])
    run([*inside, "ip", "address", "add", f"{plan.node}/30", "dev", "uplink"])
    run([*inside, "ip", "link", "set", "uplink", "up"])
    run([*inside, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
    for network in (plan.pods, plan.services):
        run(["ip", "route", "add", str(network), "via", plan.node, "dev", outside, "src", plan.host])


def remove(name: str) -> None:
    """Take away the host's end of the link, and with it the other end and the routes."""
    if Path("/sys/class/net", card(name)).exists():
        run(["ip", "link", "delete", card(name)])
