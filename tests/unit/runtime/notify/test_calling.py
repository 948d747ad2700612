"""Notifications against real HTTP receivers on this machine."""

import doctest
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from tidemill.contract.orders import NotifyOrder
from tidemill.contract.reports import RunReport
from tidemill.runtime.failures import AddressRefused, ReceiverRefused, ReceiverUnreachable, SecretMissing
from tidemill.runtime.notify import addresses, bodies, notify
from tidemill.runtime.worker.run import run


@dataclass
class Receiver:
    """A web server that answers with what it is told to, and remembers what it was sent."""

    codes: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.requests[-1][2])

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.requests[-1][2].decode())

    @property
    def headers(self) -> dict[str, str]:
        return self.requests[-1][1]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    known = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            known.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(known.codes.pop(0) if known.codes else 204)
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        known.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield known
        server.shutdown()
        thread.join()


def order(receiver: Receiver, format_: str = "CloudEvents", *, secret: bool = False, **webhook: Any) -> NotifyOrder:
    return NotifyOrder.model_validate(
        {
            "namespace": "shop",
            "monitor": "fraud",
            "service": "fraud",
            "webhook": {
                "url": receiver.url,
                "format": format_,
                **({"secretRef": {"name": "hook"}} if secret else {}),
                **webhook,
            },
            "event": "Promoted",
            "at": "2026-01-05T09:00:00Z",
            "subject": "fraud-2",
            "text": "fraud-2 answers now <& is better>",
            "reportUri": "s3://tidemill/shop/monitors/fraud/report.html",
            "allowPrivate": True,
        }
    )


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "hmac-key").write_text("key\n")
    return tmp_path


def rests(_: float) -> None:
    pass


def test_a_cloud_event_has_what_the_specification_asks_for(receiver: Receiver, tmp_path: Path) -> None:
    notify(order(receiver), tmp_path)

    assert "application/cloudevents+json" == receiver.headers["content-type"]
    assert {
        "specversion": "1.0",
        "source": "/apis/tidemill.dev/v1alpha1/namespaces/shop/driftmonitors/fraud",
        "type": "dev.tidemill.driftmonitor.promoted",
        "time": "2026-01-05T09:00:00Z",
        "subject": "fraud-2",
        "datacontenttype": "application/json",
    } == {name: value for name, value in receiver.json.items() if name not in {"id", "data"}}
    assert "Promoted" == receiver.json["data"]["event"]


def test_the_signature_is_that_of_the_bytes_which_arrive(receiver: Receiver, secret: Path) -> None:
    notify(order(receiver, secret=True), secret)

    expected = "sha256=" + hmac.new(b"key", receiver.requests[0][2], hashlib.sha256).hexdigest()
    assert expected == receiver.headers["x-tidemill-signature-256"]
    assert "Bearer t0ken" == receiver.headers["authorization"]


def test_a_repeated_call_says_that_it_is_the_same(receiver: Receiver, tmp_path: Path) -> None:
    notify(order(receiver), tmp_path)
    notify(order(receiver), tmp_path)
    notify(order(receiver).model_copy(update={"subject": "fraud-3"}), tmp_path)

    ids = [headers["x-tidemill-delivery"] for _, headers, _ in receiver.requests]
    assert (ids[0] == ids[1], ids[1] == ids[2]) == (True, False)
    assert receiver.requests[0][2] == receiver.requests[1][2]


def test_the_examples_hold() -> None:
    assert [0, 0] == [doctest.testmod(module).failed for module in (addresses, bodies)]


def test_slack_reads_text_and_no_mention_slips_in(receiver: Receiver, tmp_path: Path) -> None:
    notify(order(receiver, "Slack"), tmp_path)

    assert receiver.json["text"].startswith("Promoted: shop/fraud")
    assert "&lt;&amp; is better&gt;" in receiver.json["blocks"][0]["text"]["text"]


def test_github_dispatches_an_event_with_a_payload(receiver: Receiver, secret: Path) -> None:
    notify(order(receiver, "GitHub", secret=True, parameters={"stage": "nightly"}), secret)

    assert "tidemill-promoted" == receiver.json["event_type"]
    assert {"stage": "nightly"} == receiver.json["client_payload"]["parameters"]
    assert len(receiver.json["client_payload"]) <= 10
    assert "Bearer t0ken" == receiver.headers["authorization"]


def test_gitlab_gets_token_ref_and_variables_as_a_form(receiver: Receiver, secret: Path) -> None:
    notify(order(receiver, "GitLab", secret=True, ref="v1", parameters={"STAGE": "nightly"}), secret)

    assert (["t0ken"], ["v1"]) == (receiver.form["token"], receiver.form["ref"])
    assert ["nightly"] == receiver.form["variables[STAGE]"]
    assert ["Promoted"] == receiver.form["variables[TIDEMILL_EVENT]"]


def test_jenkins_gets_its_token_in_the_query_and_parameters_as_a_form(receiver: Receiver, secret: Path) -> None:
    notify(order(receiver, "Jenkins", secret=True), secret)

    assert "/hook?token=t0ken" == receiver.requests[0][0]
    assert ["fraud-2"] == receiver.form["TIDEMILL_SUBJECT"]


def test_circleci_gets_parameters_and_its_own_header(receiver: Receiver, secret: Path) -> None:
    notify(order(receiver, "CircleCI", secret=True, ref="release"), secret)

    assert "t0ken" == receiver.headers["circle-token"]
    assert ("release", "fraud-2") == (receiver.json["branch"], receiver.json["parameters"]["tidemill_subject"])


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_receiver_is_called_again(receiver: Receiver, tmp_path: Path, code: int) -> None:
    receiver.codes = [code, code, 200]
    pauses: list[float] = []

    result = notify(order(receiver), tmp_path, pause=pauses.append)

    assert (200, 3, [2.0, 4.0]) == (result.code, result.tries, pauses)


def test_one_that_stays_busy_is_left_to_a_later_run(receiver: Receiver, tmp_path: Path) -> None:
    receiver.codes = [503] * 9

    with pytest.raises(ReceiverUnreachable) as failure:
        notify(order(receiver), tmp_path, pause=rests)

    assert (3, True) == (len(receiver.requests), failure.value.retryable)


@pytest.mark.parametrize("code", [400, 401, 404, 410])
def test_a_no_is_not_asked_for_twice(receiver: Receiver, tmp_path: Path, code: int) -> None:
    receiver.codes = [code]

    with pytest.raises(ReceiverRefused) as failure:
        notify(order(receiver), tmp_path, pause=rests)

    assert (1, False) == (len(receiver.requests), failure.value.retryable)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(receiver: Receiver, tmp_path: Path, code: int) -> None:
    receiver.codes = [code]

    with pytest.raises(ReceiverRefused, match="redirects are not followed"):
        notify(order(receiver), tmp_path)

    assert 1 == len(receiver.requests)


def test_without_leave_this_machine_is_not_called_at_all(receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(AddressRefused):
        notify(order(receiver).model_copy(update={"allow_private": False}), tmp_path)

    assert [] == receiver.requests


def test_a_name_is_called_at_the_address_that_was_judged(receiver: Receiver, tmp_path: Path) -> None:
    named = receiver.url.replace("127.0.0.1", "hooks.example.com")

    notify(order(receiver, url=named), tmp_path, resolver=lambda host, port: ["127.0.0.1"])  # noqa: ARG005

    assert receiver.headers["host"].startswith("hooks.example.com:")


def test_a_secret_that_is_missing_is_named(receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(SecretMissing, match="'hook'"):
        notify(order(receiver, secret=True), tmp_path)

    assert [] == receiver.requests


def test_nothing_answers(receiver: Receiver, tmp_path: Path) -> None:
    with pytest.raises(ReceiverUnreachable):
        notify(order(receiver, url="http://127.0.0.1:1/"), tmp_path, pause=rests)


def test_a_pod_carries_the_order_out_without_a_store_and_reports(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "order.json").write_text(order(receiver).model_dump_json(by_alias=True))

    code = run(tmp_path / "order.json", report_path=tmp_path / "report", store_path=tmp_path / "none")

    report = RunReport.model_validate_json((tmp_path / "report").read_text())
    assert (0, 204) == (code, report.notified.code if report.notified else None)
