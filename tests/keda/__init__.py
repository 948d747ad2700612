"""KEDA itself scales a service by what a real Prometheus has scraped: the proof that `manifests/monitoring/keda.yaml` works."""
