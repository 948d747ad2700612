"""Effects: the only package that talks to Kubernetes. It watches, keeps the world, queues, acts, and measures itself."""
