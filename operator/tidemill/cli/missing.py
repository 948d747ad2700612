"""Say what to install where a command on this machine needs a library that is absent."""

from __future__ import annotations

import importlib
import sys
from typing import Final

LIBRARIES: Final = ("numpy", "pyarrow", "orjson")
"""The libraries of the extra `drift`."""


def require(command: str) -> None:
    """Exit with code 2 and a sentence where a library is absent that `command` needs."""
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except ModuleNotFoundError as absent:
            if absent.name != library:
                raise
            message = f"tidemill {command}: needs {', '.join(LIBRARIES)}; {library} is not installed"
            print(f"{message}; run `pip install 'tidemill[drift]'`", file=sys.stderr)
            raise SystemExit(2) from None
