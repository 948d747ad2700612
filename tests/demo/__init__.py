"""The closed loop on a real cluster, told while it happens: `python -m demo`."""
