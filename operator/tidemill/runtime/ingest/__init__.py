"""Ingest: read a Dataset's source, check its rows and publish a revision."""
