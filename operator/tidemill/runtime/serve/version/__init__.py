"""The model version that a pod serves: where it is loaded from and how it is called."""
