"""The files of a version that is served, held open: they can be read for as long as it is, also where nothing names them any more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from tidemill.runtime.model.predictor import COMPILED_FILE, GOLDEN_FILE, MODEL_FILE, SIGNATURE_FILE, TYPICAL_FILE

NAMES: Final = (MODEL_FILE, COMPILED_FILE, SIGNATURE_FILE, GOLDEN_FILE, TYPICAL_FILE)


class OpenFiles:
    """The files of a folder that another process needs to answer as this one does."""

    def __init__(self, folder: Path) -> None:
        self.descriptors = {
            name: os.open(folder / name, os.O_RDONLY | os.O_CLOEXEC) for name in NAMES if (folder / name).is_file()
        }
        """By the file's name."""
        self._as_it_was = self._look()

    def __del__(self) -> None:
        for descriptor in self.descriptors.values():
            os.close(descriptor)

    @property
    def unchanged(self) -> bool:
        """Return whether the files were not written into since; another file that takes their name changes nothing."""
        return self._look() == self._as_it_was

    def _look(self) -> list[tuple[int, int]]:
        stats = [os.fstat(descriptor) for descriptor in self.descriptors.values()]
        return [(stat.st_size, stat.st_mtime_ns) for stat in stats]
