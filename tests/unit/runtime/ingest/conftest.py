"""Tests of this folder run on a folder and on a real S3 server."""

from support.stores import endpoint, store

__all__ = ["endpoint", "store"]
