"""pyarrow, loaded when it is first needed, and without pandas. Holds for pyarrow 26, which is asserted.

The first array that pyarrow makes lets it look whether pandas can be imported, which where it is installed takes 66 MB and
half a second of every process that logs, for objects that are never handed over here. That it looks at that moment, and
once, is an inside of pyarrow: another release may look later, and every log would then load pandas unseen.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Final

from tidemill.runtime.process.versions import SupportedVersions

SUPPORTED: Final = SupportedVersions("pyarrow", (26,), (27,))


class _WithoutPandas:
    """Says that there is no pandas."""

    @staticmethod
    def find_spec(name: str, *_: Any) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("not looked for on behalf of pyarrow", name=name)


@cache
def arrow() -> Any:
    """Return the module; other callers that want pandas get it."""
    SUPPORTED.require()
    import pyarrow as pa

    finder: Any = _WithoutPandas
    sys.meta_path.insert(0, finder)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(finder)
    return pa
