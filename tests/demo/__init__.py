"""The closed loop on a real cluster, narrated: `python -m demo`."""
