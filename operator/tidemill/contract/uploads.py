"""What the command `upload` and the pod that takes a file say to each other: parts of the file, by HTTP on the pod's loopback address.

Every request has the header `authorization: Bearer TOKEN`, whose digest is in the order. `GET /parts` answers with the
parts that have arrived, as a list of `number` and `digest`, and whether the file is complete; `PUT /parts/<number>` takes one;
`POST /finish` checks the whole file and puts it under its own name.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic import Field

from tidemill.api.base import Digest, WireModel

PORT: Final = 8080
PART_BYTES: Final = 16 << 20
"""Bytes of every part but the last."""
MAX_BYTES: Final = 100 << 30
"""Bytes of a file."""
SETTINGS: Final = "tidemill-upload"
"""The ConfigMap of a workload namespace that says how to run the pod: image, pullPolicy, storeSecret and serviceAccount."""
FOLDER: Final = "uploads"
"""The folder of uploaded files in the folder of their namespace."""


class UploadOrder(WireModel):
    """Take one file in parts."""

    namespace: str
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    """The name that it gets."""
    size: int = Field(ge=1, le=MAX_BYTES)
    digest: Digest
    token_digest: Digest
    """SHA-256 of the token that the requests carry."""

    @property
    def parts(self) -> int:
        """Return the number of parts."""
        return -(-self.size // PART_BYTES)

    def part_size(self, number: int) -> int:
        """Return the size of a part, counted from 0."""
        return min(PART_BYTES, self.size - number * PART_BYTES)

    @property
    def path(self) -> str:
        """Return where the file lies below the folder of its namespace."""
        return f"{FOLDER}/{self.digest.removeprefix('sha256:')}/{self.file}"

    @property
    def uri(self) -> str:
        """Return what `spec.source.uri` of a Dataset says."""
        return f"store:///{self.path}"


class ReceivedPart(WireModel):
    """A part that has arrived."""

    number: int
    digest: Digest


class UploadProgress(WireModel):
    """What has arrived of a file."""

    parts: tuple[ReceivedPart, ...] = ()
    complete: bool = False
    """Whether the whole file is there under its own name."""


def plain_name(name: str) -> str:
    """Return a file name that is safe in a URI.

    >>> plain_name("Zahlungen März (1).csv"), plain_name("..."), plain_name("a" * 200 + ".parquet")[-12:]
    ('Zahlungen_M_rz_1_.csv', 'data', 'aaaa.parquet')
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).lstrip("._-") or "data"
    stem, dot, ending = plain.rpartition(".")
    return plain if len(plain) <= 100 else f"{stem[: 99 - len(ending)]}{dot}{ending}"[-100:]
