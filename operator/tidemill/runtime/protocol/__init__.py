"""The wire protocol: Open Inference Protocol v2 and the row protocol, read and written."""
