"""Subnets that clash with nothing."""

import ipaddress
import itertools

import pytest

from cluster import network

FIRST, SECOND = network.CANDIDATES[:2]


def test_a_candidate_with_any_overlap_is_passed_over() -> None:
    taken = [ipaddress.ip_network("192.168.0.0/16"), next(FIRST.subnets(new_prefix=30))]

    plan = network.choose(taken)

    assert SECOND == plan.whole


def test_a_larger_network_takes_all_that_lies_in_it() -> None:
    with pytest.raises(network.NoFreeNetwork):
        network.choose([ipaddress.ip_network("10.0.0.0/8")])


def test_pods_services_and_the_link_do_not_overlap() -> None:
    plan = network.Plan(FIRST)
    link = ipaddress.ip_network(f"{plan.host}/30", strict=False)

    parts = [plan.pods, plan.services, link]

    assert all(part.subnet_of(plan.whole) for part in parts)
    assert not any(part.overlaps(other) for part, other in itertools.combinations(parts, 2))
    assert ipaddress.ip_address(plan.node) in link
    assert ipaddress.ip_address(plan.dns) in plan.services


def test_the_card_of_the_longest_name_fits_the_kernel() -> None:
    assert len(network.card("a" * 30)) <= 15
