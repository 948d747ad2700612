"""The commands that pods run: the operator, and workloads by their order."""
