"""Faults on purpose: the real operator on a real API server, with a proxy between them that fails at a chosen write."""
