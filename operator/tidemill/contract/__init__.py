"""What crosses the pod boundary: orders in, reports out, and where things lie in the object store."""
