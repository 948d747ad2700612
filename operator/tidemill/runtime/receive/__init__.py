"""Reports of other systems about a model: verified, put into one form, and kept in the store for the monitor's checks."""
