"""Images of the programs that no registry is asked for: KEDA's two, built from its pinned module, and Debian's Prometheus."""

import re
from collections.abc import Mapping
from pathlib import Path

from cluster import Cluster, programs, scratch, versions
from cluster.commands import answers, run
from cluster.embedded import Embedded
from cluster.paths import ClusterPaths
from cluster.progress import step
from support.prometheus import program

KEDA = f"tidemill.dev/tests/keda:{versions.KEDA}"
PROMETHEUS = "tidemill.dev/tests/prometheus:1"
UNPRIVILEGED = "65532:65532"


def load(cluster: Cluster) -> None:
    """Build what is missing, and give the node of an embedded cluster both images."""
    programs.ensure([versions.KEDA_OPERATOR, versions.KEDA_ADAPTER])
    keda = {each.name: programs.path(each) for each in (versions.KEDA_OPERATOR, versions.KEDA_ADAPTER)}
    node = Embedded(ClusterPaths(cluster.name))
    with step("loading KEDA and Prometheus"):
        node.load(scratch.archive(KEDA, keda, command=["/keda"], user=UNPRIVILEGED))
        node.load(scratch.archive(PROMETHEUS, _with_libraries(program()), command=["/prometheus"], user=UNPRIVILEGED))


def libraries(lines: str) -> list[Path]:
    """The files that `ldd` names.

    >>> libraries("linux-vdso.so.1 (0x7f) libc.so.6 => /lib/libc.so.6 (0x7e) /lib64/ld-linux-x86-64.so.2 (0x7d)")
    [PosixPath('/lib/libc.so.6'), PosixPath('/lib64/ld-linux-x86-64.so.2')]
    """
    return [Path(library) for library in re.findall(r"(/\S+) \(0x", lines)]


def _with_libraries(binary: Path) -> Mapping[str, Path]:
    # Debian links its Go programs to the C library, so that goes along; others may be whole as they are.
    result = libraries(run(["ldd", binary])) if answers(["ldd", binary]) else []
    return {binary.name: binary, **{str(path).lstrip("/"): path for path in result}}
