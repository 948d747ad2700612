"""Calling webhooks: what is sent, to which addresses, and how often it is tried."""

from tidemill.runtime.notify.calling import notify

__all__ = ["notify"]
