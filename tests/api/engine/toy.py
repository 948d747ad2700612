"""The operator with a toy planner: a Dataset keeps so many Services and Jobs, which is all that the engine needs to be tried.

Run as a program, it is the real process with the real engine; only what decides is small. `TOY_DIE=before:3` kills it as
a crash would just before it sends its third write, `after:3` when the API server has answered it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from tidemill import app
from tidemill.api.conditions import false, merge_conditions, true
from tidemill.api.dataset import DatasetStatus
from tidemill.children import names
from tidemill.children.installation import Installation
from tidemill.engine.client import Client
from tidemill.engine.settings import Settings
from tidemill.plan.lookup import InvalidObjectError
from tidemill.plan.types import Answers, Mark, Notice, Plan, Question, Retirement
from tidemill.plan.world import Key, Manifest, World, key_of


class Toy:
    """Plans Datasets by `spec.services`, `spec.jobs`, `spec.port` and `spec.mark`."""

    def questions(self, key: Key, world: World, now: datetime) -> Question | None:
        return None

    def dependents(self, manifest: Manifest, world: World) -> set[Key]:
        owner = (manifest["metadata"].get("labels") or {}).get(names.OWNER_NAME)
        return {Key("Dataset", manifest["metadata"]["namespace"], owner)} if owner else set()

    def visit(
        self, key: Key, world: World, installation: Installation, now: datetime, answers: Answers = ()
    ) -> Plan | None:
        manifest = world.get(*key)
        if manifest is None or key.kind != "Dataset" or manifest["metadata"].get("deletionTimestamp"):
            return None
        spec, metadata = manifest["spec"], manifest["metadata"]
        if not isinstance(spec.get("services", 0), int):
            raise InvalidObjectError("spec.services: not a number")
        if spec.get("bug"):
            raise RuntimeError("the planner has a bug")
        wanted = [service(manifest, number) for number in range(spec.get("services", 0))]
        wanted += [job(manifest, number) for number in range(spec.get("jobs", 0))]
        seen = [*world.owned("Service", metadata["uid"]), *world.owned("Job", metadata["uid"])]
        kept = {key_of(child) for child in wanted}
        surplus = [child for child in seen if key_of(child) not in kept]
        ready = len(seen) == len(wanted) and not surplus
        before = DatasetStatus.model_validate(manifest.get("status") or {})
        conditions = [
            true("Ready", "Succeeded") if ready else false("Ready", "Progressing", f"{len(seen)} of {len(wanted)}")
        ]
        conditions = merge_conditions(before.conditions, conditions, generation=metadata["generation"], now=now)
        return Plan(
            status=before.model_copy(update={"observed_generation": metadata["generation"], "conditions": conditions}),
            ensure=tuple(wanted),
            marks=tuple(
                Mark(key_of(child), {"tidemill.dev/routes": spec.get("mark")}) for child in seen if "mark" in spec
            ),
            retire=tuple(Retirement(key_of(child), child["metadata"]["uid"], "surplus") for child in surplus),
            notices=(Notice("Settled", "all children are there"),) if ready and not before.is_true("Ready") else (),
        )


def owned(manifest: Manifest, name: str) -> dict[str, Any]:
    metadata = manifest["metadata"]
    owner = {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
    }
    labels = {names.MANAGED_BY: names.MANAGER, names.OWNER_NAME: metadata["name"], names.OWNER_UID: metadata["uid"]}
    return {"name": name, "namespace": metadata["namespace"], "labels": labels, "ownerReferences": [owner]}


def service(manifest: Manifest, number: int) -> Manifest:
    port = manifest["spec"].get("port", 8080)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned(manifest, f"{manifest['metadata']['name']}-{number}"),
        "spec": {"selector": {"app": manifest["metadata"]["name"]}, "ports": [{"name": "http", "port": port}]},
    }


def job(manifest: Manifest, number: int) -> Manifest:
    pod = {
        "restartPolicy": "Never",
        "containers": [{"name": "run", "image": "busybox", "resources": {"requests": {"cpu": "0.5"}}}],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": owned(manifest, f"{manifest['metadata']['name']}-{number}"),
        "spec": {"suspend": True, "backoffLimit": 0, "template": {"spec": pod}},
    }


def mortal(ask: Callable[..., Awaitable[Any]], when: str, number: int) -> Callable[..., Awaitable[Any]]:
    """`ask`, but the process is killed before or after the n-th write."""
    writes = 0

    async def asking(self: Client, method: str, *arguments: Any, **named: Any) -> Any:
        nonlocal writes
        writes += method != "GET"
        fatal = method != "GET" and writes == number
        if fatal and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await ask(self, method, *arguments, **named)
        if fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return asking


def main() -> int:
    when, _, number = os.environ.get("TOY_DIE", "").partition(":")
    if when:
        Client._ask = mortal(Client._ask, when, int(number))  # type: ignore[method-assign]
    settings = Settings(
        installation=Installation(workload_image="workload", server_image="server"),
        namespaces=tuple(os.environ.get("TOY_NAMESPACES", "").split()),
        metrics_address=f"127.0.0.1:{os.environ['TOY_PORT']}",
        leader_elect=bool(os.environ.get("TOY_LEASE")),
        namespace="default",
        identity=os.environ.get("TOY_LEASE") or "toy",
        resync_seconds=float(os.environ.get("TOY_RESYNC", "300")),
    )
    return app.run(settings, Toy())


if __name__ == "__main__":
    sys.exit(main())
