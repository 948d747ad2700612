"""The chart's README, whose table is made of the comments in its values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_KEY = re.compile(r"^( *)([A-Za-z]+):(?: (.*))?$")

_PAGE: Final = """\
# The chart `tidemill`

The table below is made of `values.yaml` by `make generate`.

```sh
helm install tidemill charts/tidemill --namespace tidemill-system --create-namespace --wait
```

This brings the five CustomResourceDefinitions, the operator, an S3 store on a volume for a start, and a Secret with which the
workloads of the release's own namespace find it. It runs on Kubernetes 1.30 or later, with Helm 3 or 4, under the Pod Security
Standard `restricted`.

* **Where models live.** List the namespaces in `workloadNamespaces`; each gets the Secret. A bucket of your own:
  `--set store.embedded.enabled=false,store.uri=s3://bucket/prefix,store.accessKeyId=…,store.secretAccessKey=…`.
* **What the operator may do** is in `files/access.yaml`, generated from what it does: no wildcard, no Secrets. With `namespaces`
  set it has Roles there and nothing else.
* **Who approves.** An admission policy lets only holders of the verb `approve` on `modelversions.tidemill.dev` add a decision, in
  their own name; the ClusterRole `tidemill-approver` has it. Where a run has `approval.separationOfDuties`, who started it is kept
  from deciding about what comes out; `policies.separateDuties=true` asks that of every run and version.
* **GitOps.** Charts that are rendered without a cluster cannot look up what was drawn by chance before: set
  `store.embedded.accessKeyId` and `store.embedded.secretAccessKey`, or bring the Secrets with `store.makeSecrets=false`.
* **Leaving.** `helm uninstall` takes everything but the CustomResourceDefinitions, because your objects would go with them; with
  `crds.keep=false` they go too. Delete your objects first, so that their children go while the cluster still knows them.

| value | default | meaning |
|---|---|---|
"""


class Value(NamedTuple):
    """One value of the chart."""

    path: str
    default: str
    meaning: str


def readme(values: str) -> str:
    """The page for a values.yaml."""
    rows = (f"| `{value.path}` | `{value.default}` | {_cell(value.meaning)} |" for value in table(values))
    return _PAGE + "\n".join(rows) + "\n"


def table(values: str) -> Iterator[Value]:
    """Every value with its default and the comment above it; a comment above a group speaks for the group.

    >>> list(table("# How many.\\nreplicas: 1\\n"))
    [Value(path='replicas', default='1', meaning='How many.')]
    >>> list(table("image:\\n  # Which one.\\n  tag: ''\\n"))
    [Value(path='image.tag', default="''", meaning='Which one.')]
    """
    above: list[str] = []
    comment: list[str] = []
    group: dict[int, tuple[str, str]] = {}
    for line in values.splitlines():
        if line.lstrip().startswith("#"):
            comment.append(line.lstrip("# "))
        elif not line.strip():
            comment = []
        elif found := _KEY.match(line):
            depth = len(found[1]) // 2
            above = [name for level, (name, _) in sorted(group.items()) if level < depth]
            said = " ".join(comment)
            if found[3]:
                yield Value(".".join([*above, found[2]]), found[3], said or group.get(depth - 1, ("", ""))[1])
            group = {level: one for level, one in group.items() if level < depth} | {depth: (found[2], said)}
            comment = []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
