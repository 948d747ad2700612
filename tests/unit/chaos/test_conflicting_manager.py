"""What another manager changes: the fields that the API server says are Tidemill's, and only those."""

from __future__ import annotations

from typing import Any

from chaos.conflicting_manager import owned, pointers

PORT = 'k:{"port":8080,"protocol":"TCP"}'
SERVICE: dict[str, Any] = {
    "metadata": {
        "labels": {"example.com/app": "fraud"},
        "managedFields": [
            {
                "manager": "tidemill",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:example.com/app": {}}},
                    "f:spec": {"f:ports": {PORT: {".": {}, "f:port": {}, "f:name": {}}}},
                },
            },
            {"manager": "somebody", "fieldsV1": {"f:spec": {"f:type": {}}}},
            {"manager": "tidemill", "subresource": "status", "fieldsV1": {"f:status": {"f:replicas": {}}}},
        ],
    },
    "spec": {"type": "ClusterIP", "ports": [{"port": 1, "protocol": "TCP"}, {"port": 8080, "name": "http"}]},
}


def test_the_owned_fields_are_those_that_were_applied_and_not_the_status() -> None:
    assert [("f:metadata", "f:labels", "f:example.com/app"), ("f:spec", "f:ports", PORT, "f:name")] == owned(SERVICE)


def test_a_field_in_a_list_is_found_by_its_key_and_a_slash_in_a_name_is_escaped() -> None:
    label, port = owned(SERVICE)

    assert [("/metadata/labels/example.com~1app", "fraud")] == pointers(SERVICE, label)
    assert [("/spec/ports/1/name", "http")] == pointers(SERVICE, port)


def test_a_field_that_is_gone_has_no_place() -> None:
    assert [] == pointers({"spec": {"ports": []}}, ("f:spec", "f:ports", PORT, "f:port"))
