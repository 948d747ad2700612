"""The state of the Jobs behind a resource: attempts, and what their pods report."""
