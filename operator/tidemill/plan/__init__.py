"""Decisions, and nothing else: (resource, world, now) → Plan. No clock, no randomness, no network."""
