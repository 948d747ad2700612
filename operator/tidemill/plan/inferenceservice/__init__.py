"""The parts of planning an InferenceService: what is there, what is chosen, what is decided, what is reported."""
