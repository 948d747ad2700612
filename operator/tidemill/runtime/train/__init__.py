"""Training: from a revision and an estimator's name to a model version with the evidence for it."""
