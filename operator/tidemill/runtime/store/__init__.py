"""The object store, and the manifest that makes a folder in it verifiable."""
