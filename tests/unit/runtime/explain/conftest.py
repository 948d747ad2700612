"""shap as the process that explains has it: without numba's compiler, which takes longer than it saves."""

from __future__ import annotations

import os

from tidemill.runtime.serve.handlers.explain_process import WITHOUT_COMPILING

os.environ.update(WITHOUT_COMPILING)
