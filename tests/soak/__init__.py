"""Zero loss, tried for long: rollouts of good and bad versions under traffic, while pods, the node's work and the store are
disturbed; a ledger says how many requests failed and how many answers came from a version that they did not name."""
