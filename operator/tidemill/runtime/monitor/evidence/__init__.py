"""The evidence that checks are evaluated on: rows, counts, reference profiles and external signals."""
