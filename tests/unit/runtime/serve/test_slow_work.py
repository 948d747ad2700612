"""More slow work than there is time for: some is refused, some given up, and quick requests go on."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import onnx
from onnx import TensorProto, helper

from tidemill.contract.serving import VersionOrder
from tidemill.runtime.model import background
from tidemill.runtime.model.predictor import Answer, Golden
from tidemill.runtime.store.objects import ObjectStore

from .conftest import pods, signature, until
from .hostility import BASE, connected, head, rest, watched


def slow_version(store: ObjectStore) -> VersionOrder:
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
            "typical.json": background.of(rows, signature(), seed=1).to_json(),
            "golden.json": golden.to_json(),
        },
    )
    return VersionOrder(name="slow", uri=published.uri, digest=published.digest)


def test_too_much_slow_work_is_refused_or_given_up_and_quick_requests_go_on(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}/store")
    with pods(tmp_path, store) as prepare:
        server = prepare(slow_version(store), timeoutSeconds=0.5).ready()
        rows = np.ones((2_001, 2), "<f4")
        rows[0, 0] = 400_000
        described = {"name": "input", "shape": [2_001, 2], "datatype": "FP32"}
        start = json.dumps({"inputs": [{**described, "parameters": {"binary_data_size": rows.nbytes}}]}).encode()
        request = head(
            f"{BASE}/infer", b"connection: close", b"inference-header-content-length: %d" % len(start),
            b"content-length: %d" % (len(start) + rows.nbytes),
        )  # fmt: skip

        def send(_: int) -> tuple[int, str]:
            with connected(server) as connection:
                connection.sendall(request + start + rows.tobytes())
                response = rest(connection)
            return int(response[9:12]), json.loads(response.partition(b"\r\n\r\n")[2]).get("error", "")

        with watched(server), ThreadPoolExecutor(100) as clients:
            sent = clients.map(send, range(100))
            quick = [server.ask(1.0).status_code for _ in range(20)]
            codes = Counter(sent)

        assert {200} == set(quick)
        # On a busy machine the requests may come so far apart that there is always room for one more.
        assert (504, "predict: no answer within 0.5 s; send fewer rows at once") in codes
        assert codes.keys() <= {
            (503, "predict: too many queued requests (64); retry later"),
            (504, "predict: no answer within 0.5 s; send fewer rows at once"),
        }
        until(lambda: server.ask(1.0, id="after").status_code == 200, "it answers afterwards")


def test_many_explanations_of_a_slow_model_are_given_or_refused_and_predictions_go_on(tmp_path: Path) -> None:
    store = ObjectStore.open(f"file://{tmp_path}/store")
    with pods(tmp_path, store) as prepare:
        server = prepare(slow_version(store)).ready()
        rows = {"rows": [{"size": 100_000, "age": 1}]}

        def explain(_: int) -> tuple[int, str]:
            answer = httpx.post(f"{server.url}{BASE}/explain", json=rows, timeout=60)
            return answer.status_code, answer.json().get("error", "")

        with watched(server), ThreadPoolExecutor(40) as clients:
            asked = [clients.submit(explain, number) for number in range(40)]
            quick = 0
            while not all(call.done() for call in asked):
                assert 200 == server.ask(1.0).status_code
                quick += 1
            codes = Counter(call.result() for call in asked)

        assert quick > 20
        assert (200, "") in codes
        assert codes.keys() <= {
            (200, ""),
            (503, "explain: too many queued requests (8); retry later"),
            (504, "explain: no answer within 30 s; send fewer rows at once"),
        }
        assert sum(count for (code, _), count in codes.items() if code == 503), "there is not room for all of them"
