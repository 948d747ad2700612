"""Write the chart's README, with a table made from the comments in its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_KEY = re.compile(r"^( *)([A-Za-z]+):(?: (.*))?$")

_PAGE: Final = """\
# The chart `tidemill`

The table below is made from `values.yaml` by `make generate`.

```sh
kubectl create namespace models
helm install tidemill charts/tidemill --namespace tidemill-system --create-namespace --wait \\
  --set 'workloadNamespaces={models}'
```

This installs the five CustomResourceDefinitions, the operator, an S3 store on a volume to start with, and in the namespace `models`
a Secret with the address and the credentials of that store. It runs on Kubernetes 1.30 or later, with Helm 3 or 4, under the Pod
Security Standard `restricted`.

* **Where models live.** List the namespaces of your models in `workloadNamespaces`; each gets the Secret. The release's own namespace
  holds no models: a person who may create pods there can act as the operator, so give no one else `edit` there. For a bucket of your
  own: `--set store.embedded.enabled=false,store.uri=s3://bucket/prefix,store.accessKeyId=…,store.secretAccessKey=…`.
* **The kubectl plugin** is part of the Python package. Run `pipx install .` (or `pip install .`) in the repository of Tidemill; it puts
  `kubectl-tidemill` on the PATH, and kubectl finds it there: `kubectl tidemill --help`. It calls your own kubectl, so it can do what
  you can do. `promote`, `abort`, `pause` and `resume` need the right to update InferenceServices, `check`, `retrain` and `reset` that
  to update DriftMonitors, and `refresh` that to update Datasets; the cluster role `edit` has all three.
* **What the operator may do** is in `files/access.yaml`, which is generated from its code: no wildcard, no Secrets. If `namespaces` is
  set, the operator has Roles there and nothing else.
* **More than one release.** Give each release namespaces of its own by the value `namespaces`; its policies hold there. A second
  release that would watch what another watches is refused. Install the CustomResourceDefinitions with one of them only
  (`crds.enabled=false` for the others).
* **Who approves.** An admission policy lets only holders of the verb `approve` on `modelversions.tidemill.dev` add a decision, in
  their own name; the ClusterRole `tidemill-approver` has it. If a run has `approval.separationOfDuties`, the person who started it
  cannot decide about the version; `policies.separateDuties=true` requires that of every run and version.
* **GitOps.** Charts that are rendered without a cluster cannot look up the credentials that were generated before: set
  `store.embedded.accessKeyId` and `store.embedded.secretAccessKey`, or bring the Secrets with `store.makeSecrets=false`.
* **Uninstalling.** `helm uninstall` removes everything but the CustomResourceDefinitions, because your objects would be deleted with
  them; with `crds.keep=false` they are removed too. Delete your objects first, so that their children are deleted while the cluster
  still knows the kinds.

| value | default | meaning |
|---|---|---|
"""


class Value(NamedTuple):
    """One value of the chart, as the table shows it."""

    path: str
    default: str
    meaning: str


def readme(values: str) -> str:
    """Return the page for a values.yaml."""
    rows = (f"| `{value.path}` | `{value.default}` | {_cell(value.meaning)} |" for value in table(values))
    return _PAGE + "\n".join(rows) + "\n"


def table(values: str) -> Iterator[Value]:
    """Yield every value with its default and the comment above it; a comment above a group holds for the group.

    >>> list(table("# How many.\\nreplicas: 1\\n"))
    [Value(path='replicas', default='1', meaning='How many.')]
    >>> list(table("image:\\n  # Which one.\\n  tag: ''\\n"))
    [Value(path='image.tag', default="''", meaning='Which one.')]
    """
    comment: list[str] = []
    group: dict[int, tuple[str, str]] = {}
    for line in values.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip("# "))
        elif not line.strip():
            comment = []
        elif match := _KEY.match(line):
            indent, key, default = match.groups()
            depth = len(indent) // 2
            group = {level: parent for level, parent in group.items() if level < depth}
            meaning = " ".join(comment)
            if default:
                path = [name for _, (name, _) in sorted(group.items())]
                yield Value(".".join([*path, key]), default, meaning or group.get(depth - 1, ("", ""))[1])
            group[depth] = (key, meaning)
            comment = []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
