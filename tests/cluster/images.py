"""Tidemill's four images: built where they changed, loaded where they are missing."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.table import Table

from cluster import engines, programs, recipes, versions, wheels
from cluster.builders import Buildah, Builder, Engine
from cluster.choice import NoCluster, Provider
from cluster.clusters import Cluster
from cluster.commands import run, twice
from cluster.embedded import Embedded
from cluster.kind import Kind
from cluster.layout import DEFAULT_REGISTRY
from cluster.paths import ClusterPaths
from cluster.progress import step

KEPT_BUILDS = 4


@dataclass(frozen=True, slots=True)
class Built:
    """The images of one build, by role, with the builder that has them."""

    builder: Builder
    references: Mapping[str, str]
    base: str
    science: str


def build(provider: Provider) -> Built:
    """Build what changed since the last time."""
    with programs.exclusive("images"), recipes.snapshot() as package:
        return _build(_builder(provider), package)


def _builder(provider: Provider) -> Builder:
    """An engine for kind, which loads from it; buildah for the embedded node."""
    engine = engines.answering() if provider is not Provider.EMBEDDED else None
    return Engine(engine) if engine else Buildah.prepared()


def _build(builder: Builder, package: Path) -> Built:
    programs.ensure([versions.STORE])
    own = {role: wheels.of(role) for role in ("controller", "workload", "server")}
    base = builder.base()
    science = recipes.science(base, own["workload"], own["server"])
    wanted = (
        recipes.controller(base, own["controller"], package),
        science,
        recipes.on_science("workload", science, own["workload"], package),
        recipes.on_science("server", science, own["server"], package),
        recipes.store(),
    )
    for recipe in wanted:
        if not builder.has(recipe.reference):
            with step(f"building {recipe.reference}"):
                twice(partial(builder.build, recipe))
    in_use = {each.reference for recipe in wanted for each in (recipe, recipe.dependencies)}
    builder.tidy(KEPT_BUILDS, {base, *in_use})
    references = {recipe.role: recipe.reference for recipe in wanted if recipe.role in recipes.ROLES}
    return Built(builder, references, base, science.reference)


def load(built: Built, cluster: Cluster) -> None:
    """Give the cluster's node the images that it lacks, and write down which they are."""
    references = list(built.references.values())
    match cluster.provider:
        case Provider.EMBEDDED:
            _load_embedded(built, Embedded(ClusterPaths(cluster.name)))
        case Provider.KIND:
            with step("loading images into kind"):
                Kind.named(cluster.name).load(references)
        case Provider.GIVEN:
            raise NoCluster(
                "images cannot be loaded into a given cluster: build them with `python -m cluster images --no-load`, push"
                " them to a registry that it pulls from, and name them in a JSON file that TIDEMILL_IMAGES points at:"
                ' {"controller": "registry.example.com/tidemill/controller:0.1.0", "workload": …, "server": …, "store": …}'
            )
    cluster.images.write_text(json.dumps(dict(built.references), indent=2) + "\n")


def named(cluster: Cluster) -> dict[str, str]:
    """The references of the images that the cluster has, by role; raises NoCluster where they are not known."""
    try:
        references = json.loads(cluster.images.read_text())
    except (OSError, ValueError) as error:
        raise NoCluster(f"the images of this cluster are not known ({error}); {_REMEDY[cluster.provider]}") from error
    missing = sorted(set(recipes.ROLES) - set(references))
    if missing:
        raise NoCluster(f"{cluster.images} does not name {', '.join(missing)}; {_REMEDY[cluster.provider]}")
    return {role: str(references[role]) for role in recipes.ROLES}


_REMEDY = {
    Provider.EMBEDDED: "run `make images`",
    Provider.KIND: "run `make images`",
    Provider.GIVEN: "set TIDEMILL_IMAGES to a JSON file that names controller, workload, server and store images it can pull",
}


def _load_embedded(built: Built, node: Embedded) -> None:
    if not isinstance(built.builder, Buildah):
        raise NoCluster("these images were built by a container engine, for kind")
    there = set(node.containerd("images", "ls", "-q").split())
    missing = [reference for reference in built.references.values() if f"{DEFAULT_REGISTRY}/{reference}" not in there]
    if not missing:
        return
    with step(f"loading {', '.join(missing)}"):
        # A layer that the node has from an earlier build is not sent again: a change of code takes a second.
        present = set(node.containerd("content", "ls", "-q").split())
        with tempfile.TemporaryFile() as archive:
            built.builder.layout.export(missing, archive, present=present)
            archive.seek(0)
            run(node.containerd_command("images", "import", "-"), reading=archive)


def table(built: Built) -> Table:
    """How large each image is beyond the base that all share."""
    rows = Table("image", "beyond the base", "of which its own", box=None)
    layers = {role: built.builder.layers(reference) for role, reference in built.references.items()}
    base = built.builder.layers(built.base)
    science = built.builder.layers(built.science)
    for role, reference in built.references.items():
        beyond = beyond_layers(layers[role], base)
        rows.add_row(reference, _megabytes(beyond), _megabytes(beyond_layers(layers[role], {**base, **science})))
    both = {**layers["workload"], **layers["server"]}
    rows.add_row("workload and server together", _megabytes(beyond_layers(both, base)), "")
    return rows


def beyond_layers(layers: Mapping[str, int], shared: Mapping[str, int]) -> int:
    """The bytes in `layers` that are not in `shared`.

    >>> beyond_layers({"base": 100, "own": 7}, {"base": 100})
    7
    """
    return sum(size for digest, size in layers.items() if digest not in shared)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
