"""The Job controller and the kubelet for runs that take a moment: every Job gets one pod, which ends with a report.

A process of its own, so that its work is not counted as anybody's: `python -m benchmarks.operator.runs KUBECONFIG`.
Everything is an object on the real API server; only the container is missing.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from datetime import UTC, datetime
from typing import Any

import aiohttp
import uvloop

from benchmarks.operator.loads import RUNS, Hands, connected
from tidemill.children import names
from tidemill.contract.reports import Ingested, RunReport

RUN_SECONDS = 0.1
AT_A_TIME = 32


async def follow(hands: Hands) -> None:
    """Run every Job that appears, until cancelled."""
    tasks: set[asyncio.Task[None]] = set()
    seen: set[str] = set()
    paths = asyncio.Semaphore(AT_A_TIME)

    def begin(job: dict[str, Any]) -> None:
        uid = job["metadata"]["uid"]
        if uid in seen or (job.get("status") or {}).get("conditions"):
            return
        seen.add(uid)
        task = asyncio.create_task(run(hands, job, paths))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    while True:
        listed = await hands.ask("GET", "/apis/batch/v1/jobs")
        for job in listed["items"]:
            begin(job)
        try:
            async for event in hands.watch("/apis/batch/v1/jobs", listed["metadata"]["resourceVersion"]):
                if event["type"] == "ADDED":
                    begin(event["object"])
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(0.2)


async def run(hands: Hands, job: dict[str, Any], paths: asyncio.Semaphore) -> None:
    """One pod, started, ended with a report, and then the Job's end."""
    metadata, template = job["metadata"], job["spec"]["template"]
    name, namespace = f"{metadata['name']}-pod", metadata["namespace"]
    pods = f"/api/v1/namespaces/{namespace}/pods"
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **template["metadata"],
            "name": name,
            "labels": {**template["metadata"]["labels"], "job-name": metadata["name"]},
            "ownerReferences": [{**owner, "controller": True}],
        },
        "spec": {**template["spec"], "serviceAccountName": "default"},
    }
    async with paths:
        await hands.ask("POST", pods, pod)
    await asyncio.sleep(RUN_SECONDS)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {"exitCode": 0, "reason": "Completed", "message": report(template), "startedAt": now, "finishedAt": now}
    container = {"name": "workload", "image": "tidemill/workload:1", "imageID": "", "ready": False, "restartCount": 0}
    done = {"phase": "Succeeded", "containerStatuses": [{**container, "state": {"terminated": ended}}]}
    conditions = [
        {"type": condition, "status": "True", "lastTransitionTime": now}
        for condition in ("SuccessCriteriaMet", "Complete")
    ]
    over = {"startTime": now, "completionTime": now, "succeeded": 1, "conditions": conditions}
    async with paths:
        await hands.merge(f"{pods}/{name}/status", {"status": done})
        await hands.merge(f"/apis/batch/v1/namespaces/{namespace}/jobs/{metadata['name']}/status", {"status": over})


def report(template: dict[str, Any]) -> str:
    """What a run says: another order has read other rows."""
    order = template["metadata"]["annotations"][names.ORDER]
    digest = hashlib.sha256(order.encode()).hexdigest()
    ingested = Ingested(
        digest=f"sha256:{digest}", uri=f"s3://tidemill/{digest[:12]}", rows=1000, bytes=4000, columns=5, features=4
    )
    return RunReport(ingested=ingested).to_message()


async def main(kubeconfig: str) -> None:
    async with connected(kubeconfig, RUNS) as hands:
        await follow(hands)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
