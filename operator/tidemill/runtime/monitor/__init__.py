"""Monitoring: how far a window has moved from what a version learnt, and whether its answers are still right."""
