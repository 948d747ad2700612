"""Statistics that the planner computes without scipy, which the operator does not contain."""
