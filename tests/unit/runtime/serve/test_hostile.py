"""Clients that mean no good, against a real server: each is told so in bounded time and memory, and the pod stays ready."""

from __future__ import annotations

import json
import pickle
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tidemill.contract import VersionOrder
from tidemill.runtime.objects import Store
from tidemill.runtime.predictor import Answer, Golden

from .conftest import Pod, pods, publisher, signature, until

BASE = "/v2/models/house"
MOST = 1_000_000
MB = 1024 * 1024


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """A pod that gives clients a second to send what they have to, and that is asked all the while whether it is ready."""
    folder = tmp_path_factory.mktemp("target")
    store = Store.open(f"file://{folder}/store")
    with pods(folder, store) as prepare:
        one = prepare(
            publisher(store)("house-1"), maxBodyBytes=MOST, environment={"TIDEMILL_BODY_SECONDS": "1"}
        ).ready()
        # What the first request makes the process load is no client's fault.
        rows = {"rows": [{"size": 1.0, "age": 1.0}]}
        assert [200, 200] == [one.client.post(f"{BASE}/{act}", json=rows).status_code for act in ("predict", "explain")]
        until(lambda: one.state()["logs"]["predictions"]["written"], "the log is written")
        with watched(one):
            yield one


@contextmanager
def watched(one: Pod) -> Iterator[None]:
    """Fails where the pod was unready at any time."""
    over = threading.Event()
    codes: Counter[int] = Counter()

    def look() -> None:
        with httpx.Client(base_url=one.url, timeout=60) as client:
            while not over.is_set():
                codes[client.get("/v2/health/ready").status_code] += 1
                over.wait(0.1)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
    assert {200} == set(codes)


def peak(one: Pod) -> int:
    """The most memory that the process has had since it was asked to forget, in bytes."""
    assert one.process is not None
    status = Path(f"/proc/{one.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) * 1024


def forget_peak(one: Pod) -> int:
    """What the process has now; the peak is counted from here on."""
    assert one.process is not None
    Path(f"/proc/{one.process.pid}/clear_refs").write_text("5")
    return peak(one)


@contextmanager
def connected(one: Pod) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", one.port), timeout=60) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """What comes until the server ends the connection."""
    got = b""
    while True:
        try:
            more = connection.recv(65_536)
        except ConnectionError:
            return got
        if not more:
            return got
        got += more


def heard(connection: socket.socket, wanted: bytes) -> None:
    """Wait for an answer that ends so."""
    got = b""
    while not got.endswith(wanted):
        more = connection.recv(4096)
        assert more, got
        got += more


def poured(connection: socket.socket, part: bytes, most: int) -> int:
    """Send `part` again and again until the server ends it; the number of bytes that were sent, `most` at most."""
    sent = 0
    try:
        while sent < most:
            connection.sendall(part)
            sent += len(part)
    except (ConnectionError, TimeoutError):
        pass
    return sent


def head(path: str = f"{BASE}/infer", *more: bytes) -> bytes:
    return b"\r\n".join([f"POST {path} HTTP/1.1".encode(), b"host: here", *more]) + b"\r\n\r\n"


CHUNKED = head(f"{BASE}/infer", b"content-type: application/json", b"transfer-encoding: chunked")


def test_a_head_that_does_not_come_to_an_end_is_given_up(target: Pod) -> None:
    with connected(target) as connection:
        connection.sendall(b"POST /v2/models/house/infer HTTP/1.1\r\nhost: he")
        said = rest(connection)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert said.endswith(b'{"error":"headers: did not come within 1 s"}')


def test_a_head_that_comes_byte_by_byte_gains_no_time_by_it(target: Pod) -> None:
    with connected(target) as connection:
        connection.settimeout(0.05)
        said = b""
        for byte in b"GET /v2 HTTP/1.1\r\n" + b"a: b\r\n" * 10_000:
            try:
                connection.sendall(bytes([byte]))
                said = connection.recv(4096)
            except TimeoutError:
                continue
            except ConnectionError:
                pass
            break

    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_says_nothing_is_sent_away(target: Pod) -> None:
    with connected(target) as connection:
        assert b"" == rest(connection)


def test_a_connection_that_has_asked_once_is_sent_away_in_the_middle_of_its_next_head(target: Pod) -> None:
    with connected(target) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\nGET /v2/hea")
        said = rest(connection)

    assert [b"200", b"408"] == [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]]


def test_a_connection_between_two_requests_may_wait(target: Pod) -> None:
    with connected(target) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\n")
        heard(connection, b'{"live":true}')
        time.sleep(2.5)  # longer than a head may take, and than the sweep after it
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: here\r\n\r\n")
        heard(connection, b'{"live":true}')


@pytest.mark.parametrize("part", [b"x" * 16_384, b"x: y\r\n" * 2_000], ids=["in one value", "in many fields"])
def test_a_head_without_end_is_refused_in_bounded_memory(target: Pod, part: bytes) -> None:
    before = forget_peak(target)
    with connected(target) as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nx: ")
        sent = poured(connection, part, 200 * MB)

    assert 16 * MB > sent
    assert 16 * MB > peak(target) - before


@pytest.mark.parametrize(
    "sent",
    {
        "no request at all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "a nul in a header": head(f"{BASE}/infer", b"x: a\0b", b"content-length: 2") + b"{}",
        "a length that is none": head(f"{BASE}/infer", b"content-length: ten") + b"{}",
        "a negative length": head(f"{BASE}/infer", b"content-length: -1") + b"{}",
        "two lengths": head(f"{BASE}/infer", b"content-length: 2", b"content-length: 3") + b"{}",
        "a length and chunks": head(f"{BASE}/infer", b"content-length: 2", b"transfer-encoding: chunked") + b"{}",
        "a chunk of a hostile size": CHUNKED + b"ffffffffffffffffff\r\n",
        "a chunk without a size": CHUNKED + b"\r\nzz",
        "a folded header": head(f"{BASE}/infer", b"x: a\r\n  b\x7f", b"content-length: 2") + b"{}",
        "an id that ends a header": head(f"{BASE}/infer", b"x-request-id: a\rb", b"content-length: 2") + b"{}",
        "no integer where tensors begin": head(
            f"{BASE}/infer", b"inference-header-content-length: 0x2", b"content-length: 2"
        )
        + b"{}",
        "tensors that begin behind the end": head(
            f"{BASE}/infer", b"inference-header-content-length: 999999999999", b"content-length: 2"
        )
        + b"{}",
        "a method of its own": b"PWN /v2 HTTP/1.1\r\nhost: here\r\n\r\n",
        "a version of its own": b"GET /v2 HTTP/7.5\r\nhost: here\r\n\r\n",
        "a path that leaves": b"POST /v2/models/../../etc/passwd HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}",
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_hostile_head_is_refused(target: Pod, sent: tuple[str, bytes]) -> None:
    with connected(target) as connection:
        connection.sendall(sent[1])
        connection.shutdown(socket.SHUT_WR)
        said = rest(connection)

    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 405 ")), said


def test_thousands_of_headers_are_one_request_like_any_other(target: Pod) -> None:
    row = b'{"rows":[{"size":2,"age":1}]}'
    length = b"content-length: %d" % len(row)
    with connected(target) as connection:
        connection.sendall(head(f"{BASE}/predict", *[b"x-%d: y" % n for n in range(3_000)], length) + row)

        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("where", [f"{BASE}/infer", f"{BASE}/feedback", f"{BASE}/explain", f"{BASE}/nothing"])
def test_a_body_without_end_is_ended_in_bounded_memory(target: Pod, where: str) -> None:
    before = forget_peak(target)
    with connected(target) as connection:
        connection.sendall(head(where, b"content-type: application/json", b"transfer-encoding: chunked"))
        sent = poured(connection, b"10000\r\n" + b" " * 0x10000 + b"\r\n", 1024 * MB)

    assert 200 * MB > sent
    assert 24 * MB > peak(target) - before


def test_trailers_without_end_are_ended_in_bounded_memory(target: Pod) -> None:
    before = forget_peak(target)
    with connected(target) as connection:
        connection.sendall(CHUNKED + b"2\r\n{}\r\n0\r\n")
        sent = poured(connection, b"x: y\r\n" * 10_000, 1024 * MB)

    assert 200 * MB > sent
    assert 24 * MB > peak(target) - before


def test_a_body_as_long_as_is_allowed_is_read_and_one_byte_more_is_refused(target: Pod) -> None:
    before = forget_peak(target)
    body = b'{"inputs": []}'

    codes = [
        target.client.post(f"{BASE}/infer", content=body.ljust(length), headers={"content-type": "application/json"})
        for length in (MOST, MOST + 1)
    ]

    assert [400, 413] == [response.status_code for response in codes]
    assert codes[1].json()["error"].startswith(f"body: is longer than {MOST} bytes")
    assert 24 * MB > peak(target) - before


def test_many_long_bodies_at_once_are_not_all_held(target: Pod) -> None:
    before = forget_peak(target)
    part = b" " * (MOST * 9 // 10)
    opened: list[socket.socket] = []
    try:
        for _ in range(30):
            connection = socket.create_connection(("127.0.0.1", target.port), timeout=60)
            opened.append(connection)
            connection.sendall(head(f"{BASE}/infer", b"content-length: %d" % MOST) + part)
        codes = Counter(connection.recv(4096)[9:12] for connection in opened)
    finally:
        for connection in opened:
            connection.close()

    assert {b"503", b"408"} == codes.keys()
    assert codes[b"503"] > codes[b"408"]
    assert 24 * MB > peak(target) - before


def test_a_body_that_comes_byte_by_byte_gains_no_time_by_it(target: Pod) -> None:
    with connected(target) as connection:
        connection.settimeout(0.05)
        connection.sendall(head(f"{BASE}/infer", b"content-length: 100000"))
        said = b""
        for _ in range(10_000):
            try:
                connection.sendall(b" ")
                said = connection.recv(4096)
            except TimeoutError:
                continue
            break

    assert said.startswith(b"HTTP/1.1 408 ")


def test_clients_that_leave_in_the_middle_leave_nothing_behind(target: Pod) -> None:
    for place in range(100):
        with connected(target) as connection:
            connection.sendall((CHUNKED + b"4000\r\n" + b"{" * 0x1000)[: 1 + 47 * place])

    until(lambda: target.ask(1.0).status_code == 200, "the next one is answered")
    state = target.client.get("/metrics").text
    until(lambda: 'in_flight{service="houses"} 0' in target.client.get("/metrics").text, f"nothing is left; {state}")


def test_clients_that_do_not_read_their_answers_hold_nobody_up(target: Pod) -> None:
    request = b"GET /v2/openapi.json HTTP/1.1\r\nhost: here\r\n\r\n"
    before = forget_peak(target)
    with connected(target) as deaf:
        deaf.settimeout(2)
        poured(deaf, request * 100, 200 * MB)

        assert [200] * 20 == [target.ask(1.0).status_code for _ in range(20)]
        assert 24 * MB > peak(target) - before


@pytest.mark.parametrize(
    ("body", "said"),
    {
        "a pickle": (pickle.dumps({"inputs": []}), "body: is not JSON"),
        "deep lists": (b"[" * 500_000, "body: is not JSON"),
        "deep objects": (b'{"inputs":' * 90_000, "body: is not JSON"),
        "deep data": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":' + b"[" * 900 + b"1,2" + b"]" * 900 + b"}]}", "inputs[0].data"),
        "NaN": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":[NaN,1]}]}', "body: is not JSON"),
        "infinity": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":[1e999,1]}]}', "body: is not JSON"),
        "a number of a million digits": (b'{"inputs":[{"name":"i","shape":[1,2],"datatype":"FP64","data":[' + b"9" * 900_000 + b",1]}]}", ""),
        "a shape of billions": (b'{"inputs":[{"name":"i","shape":[4294967296,4294967296],"datatype":"FP64","data":[1,1]}]}', "inputs[0].data"),
        "a surrogate": (b'{"id":"\\ud800","inputs":[]}', "body: is not JSON"),
        "no UTF-8": (b'{"id":"\xff","inputs":[]}', "body: is not JSON"),
    }.values(),
)  # fmt: skip
def test_a_hostile_body_is_refused_by_its_field(target: Pod, body: bytes, said: str) -> None:
    answer = target.client.post(f"{BASE}/infer", content=body, headers={"content-type": "application/json"})

    assert 400 == answer.status_code
    assert answer.json()["error"].startswith(said)


def test_bytes_that_are_no_number_are_refused(target: Pod) -> None:
    def send(value: float) -> int:
        raw = np.array([value, 1.0], "<f8").tobytes()
        described = {"name": "input", "shape": [1, 2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
        start = json.dumps({"inputs": [described]}).encode()
        headers = {"inference-header-content-length": str(len(start))}
        return target.client.post(f"{BASE}/infer", content=start + raw, headers=headers).status_code

    assert [400, 400, 200] == [send(value) for value in (np.inf, -np.inf, 1.0)]


@pytest.mark.parametrize("path", ["/v2/models/boat/infer", f"{BASE}/versions/house-9/infer", "/v2/models//infer"])
def test_what_is_not_served_is_not_found_whatever_is_sent_there(target: Pod, path: str) -> None:
    assert 404 == target.client.post(path, content=b"\x80\x04K\x01.").status_code


def slow_version(store: Store) -> VersionOrder:
    """A model that goes round as often as the largest `size` says before it answers 1 where size is above zero."""
    number, vector = TensorProto.FLOAT, [None, 2]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes"]),
            helper.make_node("Mul", ["held", "same"], ["kept"]),
        ],
        "round",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("held", number, vector),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("kept", number, vector),
        ],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Constant", [], ["same"], value_float=1.0),
            helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("yes", TensorProto.BOOL, [], [True])),
            helper.make_node("Constant", [], ["weights"], value=helper.make_tensor("w", number, [2, 2], [0, 1, 0, 0])),
            helper.make_node("Relu", ["rows"], ["positive"]),
            helper.make_node("ReduceMax", ["positive"], ["largest"], keepdims=0),
            helper.make_node("Cast", ["largest"], ["turns"], to=TensorProto.INT64),
            helper.make_node("Loop", ["turns", "yes", "rows"], ["after"], body=body),
            helper.make_node("MatMul", ["after", "weights"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        "slow",
        [helper.make_tensor_value_info("rows", number, vector)],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", number, vector),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    onnx.checker.check_model(model)
    rows = np.array([[1.0, 2.0], [-3.0, 1.0]])
    powers = np.exp(rows @ np.array([[0.0, 1.0], [0.0, 0.0]]))
    golden = Golden(rows, Answer(np.array([1, 0]), powers / powers.sum(axis=1, keepdims=True)))
    published = store.publish(
        "ns/models/house/slow",
        {
            "model.onnx": bytes(model.SerializeToString()),
            "signature.json": json.dumps(signature().to_wire()).encode(),
            "golden.json": golden.to_json(),
        },
    )
    return VersionOrder(name="slow", uri=published.uri, digest=published.digest)


def test_too_much_slow_work_is_refused_or_given_up_and_quick_requests_go_on(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}/store")
    with pods(tmp_path, store) as prepare:
        one = prepare(slow_version(store), timeoutSeconds=0.5).ready()
        rows = np.ones((2_001, 2), "<f4")
        rows[0, 0] = 400_000
        described = {"name": "input", "shape": [2_001, 2], "datatype": "FP32"}
        start = json.dumps({"inputs": [{**described, "parameters": {"binary_data_size": rows.nbytes}}]}).encode()
        request = head(
            f"{BASE}/infer", b"connection: close", b"inference-header-content-length: %d" % len(start),
            b"content-length: %d" % (len(start) + rows.nbytes),
        )  # fmt: skip

        def send(_: int) -> tuple[int, str]:
            with connected(one) as connection:
                connection.sendall(request + start + rows.tobytes())
                said = rest(connection)
            return int(said[9:12]), json.loads(said.partition(b"\r\n\r\n")[2]).get("error", "")

        with watched(one), ThreadPoolExecutor(100) as clients:
            sent = clients.map(send, range(100))
            quick = [one.ask(1.0).status_code for _ in range(20)]
            codes = Counter(sent)

        assert {200} == set(quick)
        # On a busy machine the requests may come so far apart that there is always room for one more.
        assert (504, "predict: no answer within 0.5 s; send fewer rows at once") in codes
        assert codes.keys() <= {
            (503, "predict: 64 requests wait already; send this one again later"),
            (504, "predict: no answer within 0.5 s; send fewer rows at once"),
        }
        until(lambda: one.ask(1.0, id="after").status_code == 200, "it answers afterwards")


@pytest.mark.slow
def test_what_goes_to_bentoml_is_bounded_too(tmp_path: Path) -> None:
    store = Store.open(f"file://{tmp_path}/store")
    with pods(tmp_path, store) as prepare:
        one = prepare(publisher(store)("house-1"), maxBodyBytes=MOST, environment={"TIDEMILL_BENTOML": "yes"}).ready()
        until(lambda: one.state()["bentoml"], "BentoML is loaded")
        before = forget_peak(one)
        with connected(one) as connection:
            connection.sendall(head("/predict", b"content-type: application/json", b"transfer-encoding: chunked"))
            sent = poured(connection, b"10000\r\n" + b" " * 0x10000 + b"\r\n", 1024 * MB)

        answer = one.client.post("/predict", json={"rows": [{"size": 2, "age": 1}]})

        assert [1] == answer.json()["predictions"]
        assert 200 * MB > sent
        assert 32 * MB > peak(one) - before
