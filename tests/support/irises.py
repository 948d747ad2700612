"""The irises of the samples in service: the sample is applied, and the pod that answers is asked through the API server."""

import json
from collections.abc import Iterable
from typing import Any

from support.biopsies import SAMPLES as FOLDER
from support.environment import Environment
from support.kubectl import apply
from support.waiting import until
from tidemill.api import InferenceService
from tidemill.children import names
from tidemill.contract.serving import SERVING_PORT

NAME = "iris"
"""Of the model, the service and the TrainingJob."""
COLUMNS = ("sepal_length_cm", "sepal_width_cm", "petal_length_cm", "petal_width_cm")


class Irises:
    """The service in one namespace."""

    def __init__(
        self, environment: Environment, namespace: str, *, sample: str = "iris-quickstart", name: str = NAME
    ) -> None:
        """Bring the service `name` of the sample into service; returns when it answers."""
        self._api, self._namespace, self._name = environment.api, namespace, name
        apply(environment.cluster, namespace, FOLDER / sample)
        until(
            "the service answering",
            lambda: (result := self.observed()) is not None and result.status.is_true("Ready"),
            seconds=180,
            explain=environment.operator_log,
        )

    def observed(self) -> InferenceService | None:
        return self._api.read(InferenceService, self._namespace, self._name)

    @property
    def service(self) -> InferenceService:
        result = self.observed()
        assert result is not None, "it must exist"
        return result

    def predict(self, rows: Iterable[Iterable[float]], **more: Any) -> list[str]:
        """What it says of rows; `more` goes into the body."""
        named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        predictions: list[str] = json.loads(self._post("predict", {**more, "rows": named}))["predictions"]
        return predictions

    def explain(self, rows: Iterable[Iterable[float]]) -> dict[str, Any]:
        """Why it says that, with the outputs by name, each as a flat list."""
        named = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        body: dict[str, Any] = json.loads(self._post("explain", {"rows": named}))
        return {**body, "outputs": {output["name"]: output["data"] for output in body["outputs"]}}

    def tell(self, request: str, labels: Iterable[str | int]) -> dict[str, Any]:
        """Say what was right for the rows of a request; return the answer."""
        data = [{"id": request, "row": row, "label": label} for row, label in enumerate(labels)]
        answer: dict[str, Any] = json.loads(self._post("feedback", {"data": data}))
        return answer

    def _post(self, what: str, body: object) -> bytes:
        pods = self._api.all("Pod", self._namespace, f"{names.ROLE}=stable")
        [pod] = [manifest["metadata"]["name"] for manifest in pods if not manifest["metadata"].get("deletionTimestamp")]
        path = f"/v2/models/{self._name}/{what}"
        return self._api.ask_pod(
            self._namespace, pod, SERVING_PORT, path, method="POST", body=json.dumps(body).encode()
        )
