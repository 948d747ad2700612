"""Whether tests run with the ways that only speed requests up; `make test-slow-path` runs those of serving without."""

from __future__ import annotations

import os
from typing import Final

FAST_PATH: Final = os.environ.get("TIDEMILL_FAST_PATH", "yes") != "no"
