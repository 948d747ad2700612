"""Buckets of S3, Google Cloud Storage and Azure Blob Storage, with what the Secret of `spec.credentials` says.

A key `identity` in the Secret takes the place of keys: `workload` is the cloud identity of the pod's ServiceAccount (of the
node, where the cluster gives pods none), `anonymous` reads what is public. The identity is never used unless a Secret says so,
because everyone who may write a Dataset could read with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from obstore.store import AzureStore, GCSStore, S3Store

from tidemill.runtime.failures import SourceUnreachable, StoreCredentialsMissing, StoreUnreachable
from tidemill.runtime.store.objects import CLIENT, RETRIES, ObjectStore

Scheme = Literal["s3", "gs", "az"]
SCHEMES: Final[tuple[Scheme, ...]] = ("s3", "gs", "az")
_KEYS: Final[dict[Scheme, tuple[tuple[str, ...], ...]]] = {
    "s3": (("access-key-id", "secret-access-key"),),
    "gs": (("service-account-key",),),
    "az": (
        ("account", "access-key"),
        ("account", "sas-token"),
        ("account", "tenant-id", "client-id", "client-secret"),
    ),
}
"""The keys that a Secret needs, one of several ways."""


def opened(scheme: Scheme, name: str, secret: Mapping[str, str]) -> ObjectStore:
    """Return a bucket or container; raise StoreCredentialsMissing or SourceUnreachable where the Secret does not suffice."""
    identity = secret.get("identity", "")
    if identity not in ("", "workload", "anonymous"):
        raise SourceUnreachable(
            f"the key identity of the Secret of spec.credentials is {identity!r}; set it to workload or anonymous"
        )
    if not identity:
        _check_keys(scheme, secret)
    elif scheme == "az" and "account" not in secret:
        raise StoreCredentialsMissing("the Secret that spec.credentials names has no key 'account'; add it")
    try:
        objects = {"s3": _s3, "gs": _gs, "az": _az}[scheme](name, secret, identity)
    except Exception as error:  # obstore raises errors of many types for options that it cannot read
        raise SourceUnreachable(
            f"the Secret of spec.credentials cannot be used for {scheme}://{name}: {str(error).splitlines()[0][:200]}; correct its keys"
        ) from error
    return ObjectStore(f"{scheme}://{name}", secret.get("endpoint", ""), objects, _no_sibling)


def _check_keys(scheme: Scheme, secret: Mapping[str, str]) -> None:
    ways = _KEYS[scheme]
    if any(all(key in secret for key in way) for way in ways):
        return
    wanted = ", or ".join(" and ".join(way) for way in ways)
    absent = next(key for key in ways[0] if key not in secret) if len(ways) == 1 else ""
    problem = f"has no key {absent!r}" if absent else "lacks keys"
    raise StoreCredentialsMissing(
        f"the Secret that spec.credentials names does not exist or {problem}; create it with {wanted}, or with identity: workload, and the run "
        "is repeated by itself"
    )


def _s3(name: str, secret: Mapping[str, str], identity: str) -> Any:
    options: dict[str, Any] = {}
    if identity == "anonymous":
        options["skip_signature"] = True
    elif not identity:
        options["access_key_id"] = secret["access-key-id"]
        options["secret_access_key"] = secret["secret-access-key"]
    if secret.get("endpoint"):
        options["endpoint"] = secret["endpoint"]
    return S3Store(
        name,
        region=secret.get("region") or "us-east-1",
        virtual_hosted_style_request=False,
        client_options=CLIENT,
        retry_config=RETRIES,
        **options,
    )


def _gs(name: str, secret: Mapping[str, str], identity: str) -> Any:
    options: dict[str, Any] = {}
    if identity == "anonymous":
        options["skip_signature"] = True
    elif not identity:
        key = secret["service-account-key"]
        if json.loads(key).get("type", "service_account") != "service_account":
            raise ValueError("service-account-key is not the key of a service account in JSON")
        options["service_account_key"] = key
    if secret.get("endpoint"):
        options["base_url"] = secret["endpoint"]
    return GCSStore(name, client_options=CLIENT, retry_config=RETRIES, **options)


def _az(name: str, secret: Mapping[str, str], identity: str) -> Any:
    names = {
        "access-key": "account_key",
        "sas-token": "sas_key",
        "tenant-id": "tenant_id",
        "client-id": "client_id",
        "client-secret": "client_secret",
    }
    options: dict[str, Any] = {"account_name": secret["account"]}
    if identity == "anonymous":
        options["skip_signature"] = True
    else:
        allowed = names if not identity else {"tenant-id": "tenant_id", "client-id": "client_id"}
        options |= {option: secret[key] for key, option in allowed.items() if key in secret}
    if secret.get("endpoint"):
        options["endpoint"] = secret["endpoint"]
    return AzureStore(name, client_options=CLIENT, retry_config=RETRIES, **options)


def _no_sibling(uri: str) -> ObjectStore:
    raise StoreUnreachable(f"{uri} is not read with the credentials of another bucket")
