"""The manifests of what the five kinds own, as pure functions of what they say."""
