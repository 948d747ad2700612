"""Write what follows from the types: CRDs, chart copies, manifests, and pages of reference."""
