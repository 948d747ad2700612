"""Measure how right the answers are: measured on labelled rows, estimated without labels, by group, and over time."""
