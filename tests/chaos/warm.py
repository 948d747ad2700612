"""Imported once by the fork server: everything an operator needs, set aside so that a fork copies none of it."""

import gc

# The process module too: what is to be run is found in it, and with it come some dozens of others.
import chaos.process  # noqa: F401
import tidemill.app
import tidemill.plan  # noqa: F401

gc.collect()
gc.freeze()
