"""`tidemill serve`: the serving process, in a pod or on a laptop."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from tidemill.contract_serving import ROUTES_PATH, STORE_PATH


def serve(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model's folder, or its URI: file:///… or s3://bucket/…")
    ] = None,
    order: Annotated[Path | None, typer.Option(help="The order of a serving pod, as JSON, instead of MODEL.")] = None,
    routes: Annotated[Path, typer.Option(help="The routing table that a stable pod follows.")] = Path(ROUTES_PATH),
    store: Annotated[Path, typer.Option(help="The folder with the store's URI and credentials.")] = Path(STORE_PATH),
    port: Annotated[int, typer.Option(help="Where to answer.")] = 8080,
    host: Annotated[str, typer.Option(help="On which address; a laptop answers itself, a pod everyone.")] = "",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes, for MODEL only; a pod runs one.")] = 1,
    name: Annotated[str, typer.Option(help="The model's name in URLs; by default that of the folder above.")] = "",
    version: Annotated[str, typer.Option(help="The version's name; by default that of the folder.")] = "",
    log: Annotated[str, typer.Option(help="Log predictions and labels below this URI, such as file:///tmp/log.")] = "",
) -> None:
    """Answer the Open Inference Protocol with a model."""
    if (model is None) == (order is None):
        raise typer.BadParameter("give either a MODEL or --order")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if order is not None:
        if workers != 1:
            raise typer.BadParameter("a pod runs one process; give it replicas instead of --workers")
        from tidemill.runtime.serve.order import carry_out

        carry_out(order, host=host or "0.0.0.0", port=port, routes=routes, store=store)
        return
    from tidemill.runtime.serve.local import serve_model

    assert model is not None
    serve_model(model, name=name, version=version, host=host or "127.0.0.1", port=port, workers=workers, log=log)
