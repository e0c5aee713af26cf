from __future__ import annotations

import hashlib
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from custody.content.store import FileStore
from custody.errors import StoreError

HELLO = hashlib.sha256(b"hello").hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


def objects(store: FileStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_put_names_bytes_by_their_sha256_and_get_returns_them(store: FileStore) -> None:
    assert store.put(b"hello") == HELLO
    assert store.get(HELLO) == b"hello"
    assert store.path(HELLO) == store.root / "sha256" / HELLO[:2] / HELLO[2:]
    assert store.has(HELLO)


def test_objects_are_read_only_and_nothing_else_is_left(store: FileStore) -> None:
    store.put(b"hello")
    store.put(b"hello")
    (only,) = objects(store)
    assert only.stat().st_mode & 0o777 == 0o444


def test_put_file_copies_and_leaves_the_file_alone(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "data.bin"
    content = os.urandom(3 << 20)
    source.write_bytes(content)
    digest = store.put_file(source)
    assert store.get(digest) == content
    assert source.read_bytes() == content
    assert not source.is_symlink()
    assert source.stat().st_ino != store.path(digest).stat().st_ino
    source.write_bytes(b"edited")
    assert store.get(digest) == content


def test_a_missing_object_is_named(store: FileStore) -> None:
    for ask in (store.get, store.path):
        with pytest.raises(StoreError, match=r"object 2cf24dba5fb0… is not in the content store"):
            ask(HELLO)
    assert not store.has(HELLO)


def test_a_damaged_object_is_refused_and_can_be_stored_again(store: FileStore) -> None:
    store.put(b"hello")
    path = store.path(HELLO)
    path.chmod(0o644)
    path.write_bytes(b"jello")
    with pytest.raises(StoreError, match="object 2cf24dba5fb0… is damaged") as caught:
        store.get(HELLO)
    (aside,) = (store.root / "damaged").iterdir()
    assert caught.value.help == (f"ls -l {aside}   it was set aside",)
    assert not store.has(HELLO)
    store.put(b"hello")
    assert store.get(HELLO) == b"hello"


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "A" * 64, HELLO[:63], HELLO + "0", HELLO[:-1] + "\n", "/" * 64]
)
def test_a_bad_name_reaches_no_file(store: FileStore, name: str) -> None:
    assert not store.has(name)
    with pytest.raises(StoreError, match="not the name of an object"):
        store.get(name)
    with pytest.raises(StoreError, match="not the name of an object"):
        store.path(name)


def test_a_link_in_the_place_of_an_object_is_not_followed(store: FileStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"hello")
    place = store.root / "sha256" / HELLO[:2] / HELLO[2:]
    place.parent.mkdir(parents=True)
    place.symlink_to(elsewhere)
    assert not store.has(HELLO)
    with pytest.raises(StoreError):
        store.get(HELLO)
    with pytest.raises(StoreError):
        store.path(HELLO)
    store.put(b"hello")
    assert store.path(HELLO).read_bytes() == b"hello"
    assert elsewhere.read_bytes() == b"hello"


def test_many_writers_of_the_same_objects_agree(store: FileStore) -> None:
    contents = [bytes([number]) * 50_000 for number in range(4)]
    stores = [FileStore(store.root) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda pair: pair[0].put(pair[1]), [(one, data) for one in stores for data in contents]))
    assert len(set(found)) == 4
    assert len(objects(store)) == 4
    assert all(store.get(hashlib.sha256(data).hexdigest()) == data for data in contents)


def test_what_does_not_fit_on_the_disk_is_refused_before_a_byte_is_written(store: FileStore, tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    sparse.touch()
    os.truncate(sparse, shutil.disk_usage(tmp_path).free + (1 << 30))
    with pytest.raises(StoreError, match=r"too full: [0-9,]+ bytes are to be added, [0-9,]+ are free"):
        store.put_file(sparse)
    assert objects(store) == []


def test_what_is_no_file_is_refused(store: FileStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    handle = os.open(tmp_path / "pipe", os.O_RDWR)  # so that opening it to read does not wait
    try:
        with pytest.raises(StoreError, match="not an ordinary file"):
            store.put_file(tmp_path / "pipe")
    finally:
        os.close(handle)
    with pytest.raises(StoreError, match="cannot be read"):
        store.put_file(tmp_path / "nothing")
    assert objects(store) == []


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the store should be")
    with pytest.raises(StoreError, match="cannot be written to"):
        FileStore(tmp_path / "store").put(b"hello")


def test_what_a_dead_process_left_unfinished_is_swept(store: FileStore) -> None:
    incoming = store.root / "incoming"
    incoming.mkdir(parents=True)
    (incoming / "old").write_bytes(b"half")
    os.utime(incoming / "old", (0, 0))
    (incoming / "new").write_bytes(b"half")
    store.put(b"hello")
    assert sorted(path.name for path in incoming.iterdir()) == ["new"]
