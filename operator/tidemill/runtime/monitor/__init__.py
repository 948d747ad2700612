"""Monitoring: how far a window has moved from the version's training rows, and whether its answers are still right."""
