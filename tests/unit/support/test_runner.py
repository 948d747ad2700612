from support.runner import Recipe

RECIPE = Recipe(
    "store_client",
    "image:1",
    ("python", "/runner/store_client/store_client.py"),
    {"store_client": {"store_client.py": "print()"}},
    9100,
)


def test_a_runner_is_a_pod_that_the_restricted_standard_admits() -> None:
    spec = RECIPE.manifests("demo")[-1]["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_its_files_lie_in_folders_below_runner() -> None:
    config, pod = RECIPE.manifests("demo")

    assert config["data"] == {"store_client.py": "print()"}
    assert {"name": config["metadata"]["name"], "mountPath": "/runner/store_client", "readOnly": True} in pod["spec"][
        "containers"
    ][0]["volumeMounts"]
