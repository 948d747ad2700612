"""The prediction log: writing it in serving pods, reading it in monitors and training runs."""
