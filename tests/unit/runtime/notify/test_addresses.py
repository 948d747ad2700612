"""Which addresses a notification may reach: none that only some network knows."""

import socket
from collections.abc import Callable

import pytest

from tidemill.runtime.failures import AddressRefused, ReceiverUnreachable
from tidemill.runtime.notify.addresses import destination

PUBLIC = "93.184.216.34"

REFUSED = [
    # loopback, in all the ways in which it can be written
    "http://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://127.0.0.1.:80/",
    "http://①②⑦.⓪.⓪.①/",
    # the metadata services of clouds
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://100.100.100.200/",
    # private networks
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://[fc00::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    # what is not the address of a web server at all
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "ftp://example.com/",
    "//example.com/",
    "http://",
    "http:///path",
    "http://user:secret@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com /",
    "http://exa\r\nHost: evil/",
    "http://example.com:99999/",
    "http://-example.com/",
    "http://exam_ple..com/",
    "http://[::1/",
]


def never(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} must be refused before anybody is asked where it is")


def answers(*addresses: str) -> Callable[[str, int], list[str]]:
    return lambda host, port: list(addresses)  # noqa: ARG005


@pytest.mark.parametrize("url", REFUSED, ids=range(len(REFUSED)))
def test_is_refused_before_anything_is_connected(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", never)

    with pytest.raises(AddressRefused):
        destination(url, resolver=never)


def test_there_are_more_than_forty() -> None:
    assert 40 < len(set(REFUSED))


@pytest.mark.parametrize("address", ["10.1.2.3", "169.254.169.254", "::1", "::ffff:192.168.0.1", "fe80::1%eth0"])
def test_a_name_that_leads_to_a_private_address_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused, match="private"):
        destination("https://hooks.example.com/", resolver=answers(address))


def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1"):
        destination("https://hooks.example.com/", resolver=answers(PUBLIC, "10.0.0.1"))


def test_a_name_is_asked_for_once_and_the_address_that_was_judged_is_called() -> None:
    asked = iter([[PUBLIC], ["127.0.0.1"]])

    result = destination("https://hooks.example.com/x?y=1", resolver=lambda host, port: next(asked))  # noqa: ARG005

    assert (PUBLIC, 443, "hooks.example.com", "/x?y=1") == (
        result.address,
        result.port,
        result.authority,
        result.target,
    )


def test_an_installation_can_allow_private_addresses_but_nothing_else() -> None:
    result = destination("http://127.0.0.1:8080/hook", allow_private=True, resolver=never)

    assert ("127.0.0.1", 8080, "127.0.0.1:8080") == (result.address, result.port, result.authority)
    with pytest.raises(AddressRefused):
        destination("file:///etc/passwd", allow_private=True, resolver=never)


def test_a_name_that_nobody_knows_is_unreachable_and_worth_another_try() -> None:
    with pytest.raises(ReceiverUnreachable) as failure:
        destination("https://hooks.example.invalid/")

    assert failure.value.retryable
