"""Imported once by the fork server: everything an operator needs, set aside so that a fork copies none of it."""

import gc

import tidemill.app
import tidemill.plan  # noqa: F401

gc.collect()
gc.freeze()
