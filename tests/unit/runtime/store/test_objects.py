"""The object store, on a folder and on a real S3 server alike."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support import gateway
from tidemill.runtime.failures import ArtifactCorrupt, StoreCredentialsMissing, StoreUnreachable
from tidemill.runtime.store.objects import ObjectStore, TooLargeError, explain


def test_a_store_without_an_endpoint_is_that_of_its_region() -> None:
    store = ObjectStore.open("s3://tidemill/lake", region="eu-central-1", access_key_id="a", secret_access_key="b")

    assert ("s3://tidemill/lake", "") == (store.uri, store.endpoint)


def test_what_was_put_is_what_is_got(store: ObjectStore) -> None:
    store.put("a/b c=1/d.bin", b"tide")

    assert store.get("a/b c=1/d.bin") == b"tide"


def test_an_object_that_is_larger_than_asked_for_is_not_read(store: ObjectStore) -> None:
    store.put("a/large", b"tide")

    assert b"tide" == store.get("a/large", most=4)
    with pytest.raises(TooLargeError, match="it has 4 bytes, and 3 at most are read"):
        store.get("a/large", most=3)


def test_what_is_not_there_is_said_to_be_missing_by_its_whole_name(store: ObjectStore) -> None:
    with pytest.raises(FileNotFoundError, match=f"{store.uri}/nothing does not exist"):
        store.get("nothing")
    assert store.head("nothing") is None


def test_an_object_is_created_only_once(store: ObjectStore) -> None:
    assert store.create("a", b"first") is True
    assert store.create("a", b"second") is False
    assert store.get("a") == b"first"


def test_a_folder_is_listed_in_order_and_from_a_key_on(store: ObjectStore) -> None:
    for key in ("log/hour=02/b", "log/hour=01/a", "log/hour=10/c", "logs/other"):
        store.put(key, b"")

    assert ["log/hour=01/a", "log/hour=02/b", "log/hour=10/c"] == [entry.key for entry in store.list("log")]
    assert ["log/hour=02/b", "log/hour=10/c"] == [entry.key for entry in store.list("log", after="log/hour=01/a")]
    assert [] == list(store.list("none"))


def test_deleting_what_is_gone_is_fine(store: ObjectStore) -> None:
    store.put("a", b"1")

    store.delete("a", "a")

    assert store.head("a") is None


def test_a_published_folder_comes_back_whole(store: ObjectStore, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(b"x" * 11_000_000)

    published = store.publish("folder", {"a.txt": b"one", "deep/b.bin": big}, {"report.html": b"<p>"})
    fetched = store.fetch(published.uri, published.digest, tmp_path / "fetched")

    assert {"a.txt", "deep/b.bin"} == {str(file.relative_to(fetched)) for file in fetched.rglob("*") if file.is_file()}
    assert (fetched / "deep/b.bin").read_bytes() == big.read_bytes()
    assert store.get("folder/report.html") == b"<p>"


def test_the_same_content_has_the_same_digest_and_is_written_once(store: ObjectStore) -> None:
    first = store.publish("folder", {"a": b"1", "b": b"2"})
    written = {entry.key: entry.modified for entry in store.list("folder")}

    second = store.publish("folder", {"b": b"2", "a": b"1"})

    assert first == second
    # The manifest is put again, which tells a sweeper that the folder is in use.
    again = {entry.key: entry.modified for entry in store.list("folder")}
    assert {"folder/a", "folder/b"} <= {key for key, modified in again.items() if modified == written[key]}


def test_a_folder_that_has_lost_a_file_is_published_again(store: ObjectStore, tmp_path: Path) -> None:
    first = store.publish("folder", {"a": b"1"}, {"report.html": b"page"})
    store.delete("folder/a", "folder/report.html")

    assert first == store.publish("folder", {"a": b"1"}, {"report.html": b"page"})
    assert (store.fetch(first.uri, first.digest, tmp_path / "f") / "a").read_bytes() == b"1"
    assert b"page" == store.get("folder/report.html")


def test_a_folder_that_is_being_deleted_is_not_published_until_it_is_gone(store: ObjectStore) -> None:
    store.put("folder/deleting.json", b"{}")

    with pytest.raises(
        StoreUnreachable, match="folder is being deleted, because no object used it; the run is repeated"
    ):
        store.publish("folder", {"a": b"1"})

    store.delete("folder/deleting.json")

    assert store.publish("folder", {"a": b"1"}).uri == store.uri_of("folder")


def test_many_objects_are_deleted_at_once_and_those_that_are_not_there_count_as_deleted(store: ObjectStore) -> None:
    for number in range(5):
        store.put(f"folder/{number}", b"x")

    store.delete_many([f"folder/{number}" for number in (7, 0, 1, 2, 8)])

    assert ["folder/3", "folder/4"] == [entry.key for entry in store.stream("folder")]


def test_the_folders_below_a_folder_are_named(store: ObjectStore) -> None:
    store.put("shop/a/x", b"")
    store.put("shop/b/y/z", b"")
    store.put("shop/file", b"")

    assert (("shop",), ("a", "b")) == (store.folders(), store.folders("shop"))


def test_what_is_beside_a_folder_is_no_part_of_its_digest(store: ObjectStore) -> None:
    assert store.publish("one", {"a": b"1"}, {"report.html": b"x"}).digest == store.publish("two", {"a": b"1"}).digest


def test_a_folder_never_changes_its_content(store: ObjectStore) -> None:
    store.publish("folder", {"a": b"1"})

    with pytest.raises(ArtifactCorrupt, match="names other content already"):
        store.publish("folder", {"a": b"2"})
    assert store.get("folder/a") == b"1"


def test_a_folder_whose_writer_died_before_the_manifest_can_be_published_again(
    store: ObjectStore, tmp_path: Path
) -> None:
    store.put("folder/a", b"half")

    published = store.publish("folder", {"a": b"whole"})

    assert (store.fetch(published.uri, published.digest, tmp_path / "f") / "a").read_bytes() == b"whole"


def flip(store: ObjectStore) -> None:
    store.put("folder/a", b"tidf")


def shorten(store: ObjectStore) -> None:
    store.put("folder/a", b"tid")


def remove(store: ObjectStore) -> None:
    store.delete("folder/a")


def remove_manifest(store: ObjectStore) -> None:
    store.delete("folder/manifest.json")


def swap_manifest(store: ObjectStore) -> None:
    store.publish("other", {"a": b"mine"})
    store.put("folder/a", b"mine")
    store.put("folder/manifest.json", store.get("other/manifest.json"))


@pytest.mark.parametrize("attack", [flip, shorten, remove, remove_manifest, swap_manifest])
def test_nothing_is_used_that_is_not_what_was_published(attack, store: ObjectStore, tmp_path: Path) -> None:
    published = store.publish("folder", {"a": b"tide"})
    attack(store)

    with pytest.raises(ArtifactCorrupt) as refused:
        store.fetch(published.uri, published.digest, tmp_path / "fetched")

    assert refused.value.retryable is False
    assert not (tmp_path / "fetched" / "a").exists()


def test_a_store_that_refuses_the_key_says_so_without_repeating_it(endpoint: str) -> None:
    with pytest.raises(StoreUnreachable, match="refuses the secret access key") as refused:
        gateway.open_store(endpoint, secret="wrong").get("a")
    assert refused.value.retryable
    assert gateway.KEY not in refused.value.message.removeprefix("the store s3://tidemill")


@pytest.mark.parametrize(
    "ask", [lambda store: store.get("a"), lambda store: list(store.list("a")), lambda store: store.put("a", b"")]
)
def test_a_bucket_that_does_not_exist_is_to_be_created(ask, endpoint: str) -> None:
    with pytest.raises(StoreUnreachable, match=r"no such bucket .NoSuchBucket.; create it"):
        ask(gateway.open_store(endpoint, "s3://nowhere"))


def test_a_store_that_does_not_answer_is_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(StoreUnreachable, match="nothing answers there; check the endpoint") as refused:
            gateway.open_store(f"http://127.0.0.1:{free.getsockname()[1]}").get("a")
    assert refused.value.retryable


def test_credentials_come_from_a_mounted_secret(endpoint: str, tmp_path: Path) -> None:
    store = ObjectStore.from_files(gateway.secret(tmp_path / "secret", endpoint))

    store.put("from-files", b"1")

    assert gateway.open_store(endpoint).get("from-files") == b"1"


@pytest.mark.parametrize("folder", ["absent", "empty"])
def test_without_a_secret_the_remedy_names_it_and_the_namespace(folder: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "..data").mkdir()

    with pytest.raises(
        StoreCredentialsMissing, match=r"Secret 'tidemill-store'.* in namespace 'team-a'; create it"
    ) as refused:
        ObjectStore.from_files(tmp_path / folder, namespace="team-a")
    assert refused.value.retryable


def test_a_secret_that_lacks_a_key_is_told_which(endpoint: str, tmp_path: Path) -> None:
    folder = gateway.secret(tmp_path / "secret", endpoint, **{"secret-access-key": "\n"})

    with pytest.raises(StoreCredentialsMissing, match="has no key 'secret-access-key'"):
        ObjectStore.from_files(folder)


def test_a_store_does_not_show_its_keys(endpoint: str) -> None:
    store = gateway.open_store(endpoint)

    assert gateway.SECRET not in f"{store!r} {store}"


def test_a_uri_of_another_store_has_no_key_here(store: ObjectStore) -> None:
    assert store.key_of(f"{store.uri}/a/b") == "a/b"
    with pytest.raises(StoreUnreachable, match="does not lie in this namespace's store"):
        store.key_of("s3://elsewhere/a/b")


def test_a_store_that_is_full_says_so_with_the_remedy() -> None:
    # As versitygw answers on a volume without space.
    answer = (
        "Generic S3 error: Error performing PUT http://store:7070/tidemill/a in 966ms, after 3 retries, max_retries: 3, retry_timeout: 10s  - "
        'Server returned non-2xx status code: 507 Insufficient Storage: <?xml version="1.0" encoding="UTF-8"?>\n'
        "<Error><Code>InsufficientStorage</Code><Message>No space left on device.</Message></Error>"
    )

    assert "it is full (InsufficientStorage); delete data or enlarge its volume" == explain(answer)


def test_a_missing_secret_is_named_with_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(StoreCredentialsMissing) as missing:
        ObjectStore.from_files(tmp_path, namespace="shop")

    assert "no Secret 'tidemill-store' with a key 'uri' in namespace 'shop'" in str(missing.value)
    for remedy in (
        "create it with the keys uri, endpoint, region, access-key-id and secret-access-key",
        "workloadNamespaces",
    ):
        assert remedy in str(missing.value)
