"""Carries out orders: in Jobs, in a warm worker, and in processes that are kept ready."""
