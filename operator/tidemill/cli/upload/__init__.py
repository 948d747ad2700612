"""`kubectl tidemill upload`: a file from this machine to the folder of a namespace in the object store, through the cluster."""
