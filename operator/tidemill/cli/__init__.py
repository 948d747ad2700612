"""The command line: `tidemill` on a laptop, `python -m tidemill` in every image, `kubectl tidemill` as a plugin."""

from tidemill.cli.main import main

__all__ = ["main"]
