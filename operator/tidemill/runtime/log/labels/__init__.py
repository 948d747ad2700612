"""Labels of answered rows: from the label log, and from a Dataset."""
