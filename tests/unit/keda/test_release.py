"""What of KEDA's manifests and of Debian's Prometheus is taken over into a cluster without a registry."""

import doctest

from keda import images, release


def test_the_examples_hold() -> None:
    assert 0 == doctest.testmod(images).failed


def test_only_the_images_are_ours() -> None:
    container = {
        "name": "keda-operator",
        "image": "registry.example.com/keda:main",
        "imagePullPolicy": "Always",
        "args": ["-v"],
    }
    deployment = {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}
    account = {"kind": "ServiceAccount", "metadata": {"name": "keda-operator"}}

    made, untouched = release.with_images_of_ours([deployment, account])

    [taken] = made["spec"]["template"]["spec"]["containers"]
    assert {"name": "keda-operator", "image": images.KEDA, "imagePullPolicy": "Never", "args": ["-v"]} == taken
    assert account == untouched
