"""Plan a Dataset: its ingest runs, the rows of services and the Datasets that it is made from."""
