"""Which container engine answers on this machine."""

import os

from cluster.commands import answers


def answering() -> str | None:
    """docker or podman, whichever answers first; None if neither does."""
    for engine in ("docker", "podman"):
        if answers([engine, "info"], timeout=8):
            return engine
    return None


def environment(engine: str) -> dict[str, str]:
    """What kind must be told to use this engine."""
    return dict(os.environ) if engine == "docker" else {**os.environ, "KIND_EXPERIMENTAL_PROVIDER": engine}
