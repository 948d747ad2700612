from support.guest import Recipe

RECIPE = Recipe("porter", "image:1", ("python", "/guest/porter/porter.py"), {"porter": {"porter.py": "print()"}}, 9100)


def test_a_guest_is_a_pod_that_the_restricted_standard_admits() -> None:
    spec = RECIPE.manifests("demo")[-1]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_its_files_lie_in_folders_below_guest() -> None:
    config, pod = RECIPE.manifests("demo")

    assert config["data"] == {"porter.py": "print()"}
    assert {"name": config["metadata"]["name"], "mountPath": "/guest/porter", "readOnly": True} in pod["spec"][
        "containers"
    ][0]["volumeMounts"]
