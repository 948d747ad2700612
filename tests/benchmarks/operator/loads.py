"""The hands of the benchmark on the API server, and the objects that are put there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import yaml

from cluster.paths import REPOSITORY
from tidemill.api import API_VERSION, GROUP
from tidemill.engine.connection import connect

DRIVER, RUNS = "bench-driver", "bench-runs"
"""User agents, by which the audit log tells the benchmark's own requests from the operators'."""
DATASETS = f"/apis/{API_VERSION}"
FOR_EVER = aiohttp.ClientTimeout(total=None, sock_connect=5)


class Hands:
    """A connection to the API server that says who it is."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask(self, method: str, path: str, body: Any = None, *, content: str = "application/json") -> Any:
        """The parsed answer; an error where the API server refuses."""
        return orjson.loads(await self.text(method, path, body, content=content))

    async def text(self, method: str, path: str, body: Any = None, *, content: str = "application/json") -> bytes:
        """The answer as it came."""
        data = orjson.dumps(body) if body is not None else None
        async with self._session.request(method, path, data=data, headers={"Content-Type": content}) as answer:
            response = await answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {response[:500].decode(errors='replace')}")
        return response

    async def merge(self, path: str, patch: Any) -> Any:
        return await self.ask("PATCH", path, patch, content="application/merge-patch+json")

    async def watch(self, path: str, version: str) -> AsyncIterator[dict[str, Any]]:
        """Events from `version` on, until the API server ends the watch."""
        async with self._session.get(f"{path}?watch=true&resourceVersion={version}", timeout=FOR_EVER) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        return
                    yield event


@asynccontextmanager
async def connected(kubeconfig: str, agent: str) -> AsyncIterator[Hands]:
    async with connect(kubeconfig).session() as session:
        session.headers["User-Agent"] = agent
        yield Hands(session)


async def define(hands: Hands) -> None:
    """The five kinds, as they are shipped."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for file in sorted((REPOSITORY / "crds").glob(f"*.{GROUP}.yaml")):
        await hands.ask("POST", path, yaml.safe_load(file.read_text()))
    for plural in ("datasets", "trainingjobs", "modelversions", "inferenceservices", "driftmonitors"):
        deadline = time.monotonic() + 60
        while True:
            try:
                await hands.ask("GET", f"{DATASETS}/{plural}")
                break
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)


async def make_namespace(hands: Hands, name: str) -> None:
    await hands.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    await hands.ask("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})


def name_of(number: int) -> str:
    """Names of one length, so that a child's name begins with exactly one of them."""
    return f"d{number:06d}"


def dataset(namespace: str, number: int) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": name_of(number), "namespace": namespace},
        "spec": {"source": {"uri": f"s3://lake/{name_of(number)}/first.parquet"}},
    }


async def create(hands: Hands, namespace: str, numbers: Iterable[int], *, at_a_time: int) -> None:
    """Datasets, as fast as the API server takes them."""
    todo = iter(numbers)

    async def work() -> None:
        for number in todo:
            await hands.ask("POST", f"{DATASETS}/namespaces/{namespace}/datasets", dataset(namespace, number))

    await asyncio.gather(*(work() for _ in range(at_a_time)))


async def edit(hands: Hands, namespace: str, numbers: Iterable[int], *, word: str, a_second: float) -> None:
    """Another source for each, one after the other at a fixed rate, whatever becomes of them."""
    begun, tasks = time.monotonic(), []
    for index, number in enumerate(numbers):
        await asyncio.sleep(max(0.0, begun + index / a_second - time.monotonic()))
        change = {"spec": {"source": {"uri": f"s3://lake/{name_of(number)}/{word}.parquet"}}}
        path = f"{DATASETS}/namespaces/{namespace}/datasets/{name_of(number)}"
        tasks.append(asyncio.create_task(hands.merge(path, change)))
    await asyncio.gather(*tasks)
