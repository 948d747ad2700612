"""The HTML report of a check run."""
