"""`tidemill serve`: the serving process, in a pod or on a laptop.

Read with argparse: typer and what it brings take a fifth of the time to the first answer.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str]) -> None:
    """Answer the Open Inference Protocol with a model."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if (chosen.model is None) == (chosen.order is None):
        parser.error("give either a MODEL or --order")
    if not 1 <= chosen.workers <= 256:
        parser.error("--workers: must lie between 1 and 256")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if chosen.order is not None:
        if chosen.workers != 1:
            parser.error("a pod runs one process; give it replicas instead of --workers")
        from tidemill.contract.serving import ROUTES_PATH, STORE_PATH
        from tidemill.runtime.serve.pod import carry_out

        carry_out(
            chosen.order,
            host=chosen.host or "0.0.0.0",
            port=chosen.port,
            routes=chosen.routes or Path(ROUTES_PATH),
            store=chosen.store or Path(STORE_PATH),
        )
        return
    from tidemill.runtime.failures import RunFailed
    from tidemill.runtime.serve.local import serve_model

    try:
        serve_model(
            chosen.model,
            name=chosen.name,
            version=chosen.version,
            host=chosen.host or "127.0.0.1",
            port=chosen.port,
            workers=chosen.workers,
            log=chosen.log,
        )
    except (OSError, RunFailed) as failure:
        parser.exit(2, f"tidemill serve: {failure}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidemill serve", description="Answer the Open Inference Protocol with a model.", allow_abbrev=False
    )
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="a model's folder, or its URI: file:///… or s3://bucket/…")
    add("--order", type=Path, help="the order of a serving pod, as JSON, instead of MODEL")
    add("--routes", type=Path, help="the routing table that a stable pod follows; by default where a pod has it")
    add("--store", type=Path, help="the folder with the store's URI and credentials; by default where a pod has it")
    add("--port", type=int, default=8080, help="where to answer (default: %(default)s)")
    add("--host", default="", help="on which address (default: a laptop answers itself, a pod everyone)")
    add("--workers", type=int, default=1, help="processes, for MODEL only; a pod runs one")
    add("--name", default="", help="the model's name in URLs; by default that of the folder above")
    add("--version", default="", help="the version's name; by default that of the folder")
    add("--log", default="", help="log predictions and labels below this URI, such as file:///tmp/log")
    return parser
