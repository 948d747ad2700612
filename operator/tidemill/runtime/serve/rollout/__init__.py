"""A rollout's traffic within the stable pod: split, mirror, comparison and trial."""
