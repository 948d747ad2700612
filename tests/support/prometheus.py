"""A real Prometheus server on loopback, and its tool for rules: Debian's programs, unpacked into the cache and never installed."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from cluster import paths
from cluster.commands import run
from cluster.plane import free_ports
from cluster.programs import exclusive
from support.waiting import until

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: story
    static_configs: [{{targets: ["{target}"]}}]
"""


def program(name: str = "prometheus") -> Path:
    """The one on the PATH, or one from Debian's archive: `prometheus` or `promtool`; raises CommandFailed."""
    executable = shutil.which(name)
    if executable:
        return Path(executable)
    home = paths.cache() / "prometheus"
    binary = home / "usr" / "bin" / name
    with exclusive("prometheus"):
        if not binary.exists():
            with tempfile.TemporaryDirectory() as folder:
                run(["apt-get", "update", "-qq"], timeout=120)
                run(["apt-get", "download", "prometheus"], cwd=Path(folder), timeout=300)
                [package] = Path(folder).glob("prometheus_*.deb")
                run(["dpkg-deb", "-x", package, home])
    return binary


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[str]:
    """A server that asks `target` (host:port) for its /metrics every second; gives its base URL."""
    [port] = free_ports(1)
    config = folder / "prometheus.yaml"
    config.write_text(CONFIG.format(target=target))
    url = f"http://127.0.0.1:{port}"
    command = [
        str(program()),
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

        def ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return httpx.get(f"{url}/-/ready", timeout=2).status_code == 200
            except httpx.HTTPError:
                return False

        try:
            until("Prometheus", ready, seconds=60, poll=0.1)
            yield url
        finally:
            process.terminate()
            process.wait(30)
