"""A model version: its files, its signature, and the predictions it makes."""
