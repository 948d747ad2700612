"""HTTP: bodies in, responses out, and the parts of uvicorn that are overridden."""
