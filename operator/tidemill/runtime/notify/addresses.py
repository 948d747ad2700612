"""Which address a URL may lead to: a name is resolved once, every address it has is judged, and the one judged is called.

Asking the name again for the connection would let it answer differently the second time; redirects would lead past the
judgement altogether. What looks like a number but is not written as addresses are is refused, not interpreted.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tidemill.runtime.failures import AddressRefused, ReceiverUnreachable

_NAME: Final = re.compile(
    r"^(?=.{1,253}$)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)*\.?$"
)
# The resolver of the C library reads 127.1, 0x7f.1, 0177.0.0.1 and 2130706433 as addresses.
_NUMBER_LIKE: Final = re.compile(r"^(0x[0-9a-f]*|[0-9]+)$")
_TRANSLATED: Final = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_SHARED: Final = ipaddress.IPv4Network("100.64.0.0/10")

Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, slots=True)
class Destination:
    """Where to connect: an address that was judged, and the name that the receiver expects."""

    scheme: str
    host: str
    port: int
    address: str
    target: str
    """Path and query."""

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


def resolve(host: str, port: int) -> list[str]:
    """Every address that a name has, by the system's resolver; raises ReceiverUnreachable."""
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ReceiverUnreachable(f"the name {host!r} cannot be resolved: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in addresses))


def is_private(text: str) -> bool:
    """Return whether an address is one that only some network knows, in whatever form it is written within IPv6.

    >>> is_private("169.254.169.254"), is_private("::ffff:10.0.0.1"), is_private("93.184.216.34")
    (True, True, False)
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and any(address in network for network in _TRANSLATED):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and int(address) >> 32 == 0:
            return True  # ::1, :: and the long abandoned ::a.b.c.d
        if inner is not None and is_private(str(inner)):
            return True
        if address.is_site_local:
            return True
    elif address in _SHARED:
        return True
    return not address.is_global or address.is_multicast


def destination(
    url: str,
    *,
    allow_private: bool = False,
    resolver: Resolve = resolve,
    setting: str = "notifications.allowPrivateAddresses",
) -> Destination:
    """Where `url` leads, with an address that may be called; raises AddressRefused or ReceiverUnreachable."""
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise AddressRefused("the URL contains invalid characters")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise AddressRefused(f"the URL cannot be read: {error}") from error
    if parts.scheme not in {"http", "https"}:
        raise AddressRefused(f"scheme {parts.scheme!r} cannot be called; use https")
    if "@" in parts.netloc:
        raise AddressRefused("the URL holds credentials; put them into the Secret that secretRef names")
    if not host:
        raise AddressRefused("the URL names no host")
    port = port or (443 if parts.scheme == "https" else 80)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    for address in _addresses(host, port, resolver):
        if not allow_private and is_private(address):
            raise AddressRefused(
                f"{host!r} leads to the private address {address}; the installation must allow that: {setting}"
            )
        first = address
        return Destination(parts.scheme, host.rstrip("."), port, first, target)
    raise ReceiverUnreachable(f"the name {host!r} has no address")


def _addresses(host: str, port: int, resolver: Resolve) -> list[str]:
    """The addresses of a host; where any of several is private, that one comes first, so that it decides."""
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        return [str(literal)]
    if not _NAME.match(host) or _NUMBER_LIKE.match(host.rstrip(".").rpartition(".")[2]):
        raise AddressRefused(f"{host!r} is neither a name nor an address")
    addresses = resolver(host, port)
    return sorted(addresses, key=lambda address: not is_private(address))
