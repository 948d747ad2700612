"""Which version a Deployment serves, whatever somebody wrote on it."""

from __future__ import annotations

import json
from typing import Any

from tidemill.children import names
from tidemill.plan.inferenceservice.observed import deployed


def deployment(label: str, order: str) -> dict[str, Any]:
    template = {"metadata": {"annotations": {names.ORDER: order}}}
    return {"metadata": {"labels": {names.MODEL_VERSION: label}}, "spec": {"template": template}}


ORDER = json.dumps({"version": {"name": "fraud-1"}})


def test_a_label_that_somebody_changed_does_not_change_what_is_served() -> None:
    assert "fraud-1" == deployed(deployment("fraud-2", ORDER))


def test_where_the_order_was_spoilt_the_label_still_says_it() -> None:
    for spoilt in (ORDER + "x", "", "[]", "{}", json.dumps({"version": {"name": 5}})):
        assert "fraud-1" == deployed(deployment("fraud-1", spoilt))
