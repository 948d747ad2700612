"""The data plane: what runs in Jobs and serving pods. It never talks to Kubernetes."""
