"""Where a Dataset's files lie: an object store, a web server, a volume. Each lists its files, and reads one of them."""
