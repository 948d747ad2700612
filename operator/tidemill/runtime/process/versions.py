"""The versions of libraries on whose insides a module leans, asserted before the module uses them."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import NamedTuple

Release = tuple[int, ...]


class SupportedVersions(NamedTuple):
    """A range of releases of one library; `pyproject.toml` asks for no others."""

    package: str
    lowest: Release
    above: Release
    """The first release that is not supported any more."""

    @property
    def requirement(self) -> str:
        """Return the range as pip spells it.

        >>> SupportedVersions("uvicorn", (0, 54), (0, 55)).requirement
        'uvicorn>=0.54,<0.55'
        """
        low, high = (".".join(map(str, release)) for release in (self.lowest, self.above))
        return f"{self.package}>={low},<{high}"

    def require(self) -> None:
        """Raise RuntimeError where another release is installed."""
        installed = version(self.package)
        if not self.lowest <= tuple(int(part) for part in re.findall(r"\d+", installed)[:2]) < self.above:
            raise RuntimeError(f"{self.package} {installed} is installed; install {self.requirement}")
