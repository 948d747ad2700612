"""The pod that takes a file from a person's machine, in parts, and puts it into the folder of the namespace."""
