"""The end of data: what is in the object store, which of it an object still uses, and the deletion of the rest."""
