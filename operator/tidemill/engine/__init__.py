"""The only package that talks to Kubernetes: it watches, caches, queues, writes, and exposes metrics."""
