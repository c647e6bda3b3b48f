"""The store of backup sets, for the one who takes them: the same store as is read, and the ways in which it refuses.

Locally files are 0600 in folders 0700, and are on the disk before the manifest is: a machine that loses its power keeps
a whole set or a folder without a manifest. In an object store a file appears when all of it was uploaded, and what was
begun is aborted; only of a process that was killed the parts of an upload stay, invisible, until the bucket's lifecycle
rule for incomplete uploads removes them.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from cluster.backups import Store, StoreError
from cluster.encryption import Recipients
from cluster.errors import DowntimeError
from cluster.manifest import FILE_NAME, Manifest
from cluster.outgoing import Destination, Outgoing
from cluster.watched import Beat, SilentError, watched

# Removing a set, or seeing a large file through to the disk, takes longer than any single answer.
SLOW_TIMES = 10
# An object has at most 10,000 parts (S3): so it may have 160 GB.
_BLOCK_BYTES = 16 << 20
_OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "memory"})
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How object stores say it: codes of MinIO, Ceph and others, or the sentence that comes with them.
_SAYS_FULL = re.compile(r"StorageFull|QuotaExceeded|Insufficient ?Storage|free drive threshold", re.IGNORECASE)
_WRITABLE = "Allow the user (or the credentials) that downtime runs with to write into the store."
_T = TypeVar("_T")


class WritableStore(Store):
    """A store that sets are written into.

    Errors of writing are ``StoreError`` too: ``store-full``, ``store-read-only``, and those of reading.
    """

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine's file systems."""
        from fsspec.implementations.local import LocalFileSystem

        return isinstance(self._open()[0], LocalFileSystem)

    def ids(self) -> list[str]:
        """The folders that can be sets, newest first.

        Raises:
            StoreError: the store cannot be used. A local folder must exist: a mount that is missing would be written
                into otherwise. Elsewhere a folder that nothing was put into yet cannot be told from none.
        """
        try:
            return [entry.id for entry in self.sets()]
        except StoreError as error:
            if error.code != "store-missing" or self.local:
                raise
            return []

    def make_folder(self, set_id: str) -> bool:
        """Make the folder of a new set; False: there is one of that name.

        Raises:
            StoreError: full, read-only, forbidden, unreachable.
        """

        def make(_: Beat) -> bool:
            filesystem, path = self._open()[0], self._path(set_id, "").rstrip("/")
            if self.local:
                try:
                    os.mkdir(path, 0o700)  # noqa: PTH102 - the path is fsspec's
                except FileExistsError:
                    return False
                return True
            if filesystem.exists(path):
                return False
            if not _has_no_folders(filesystem):
                filesystem.makedirs(path, exist_ok=False)
            return True

        return self._writing(make)

    def outgoing(self, set_id: str, path: str, recipients: Recipients) -> Outgoing:
        """A sink for a file of a set that has a folder already."""

        def create() -> Destination:
            filesystem, target = self._open()[0], self._path(set_id, path)
            if self.local:
                os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)  # noqa: PTH103, PTH120
                return _LocalFile(target)
            if not _has_no_folders(filesystem):
                filesystem.makedirs(target.rpartition("/")[0], exist_ok=True)
            return _StoredFile(filesystem.open(target, "wb", block_size=_BLOCK_BYTES))

        seconds = self._call_seconds
        return Outgoing(create, recipients, seconds, seconds * SLOW_TIMES, self._refusal)

    def write_manifest(self, manifest: Manifest) -> None:
        """Make the folder a set: the last thing that is written, and written at once or not at all.

        Raises:
            StoreError: it could not be written.
        """
        text = manifest.model_dump_json(exclude_none=True, indent=1).encode() + b"\n"

        def write(_: Beat) -> None:
            target = self._path(manifest.id, FILE_NAME)
            if self.local:
                _replace(target, text)
            else:
                self._open()[0].pipe_file(target, text)

        self._writing(write, SLOW_TIMES)

    def remove(self, set_id: str) -> None:
        """Remove a set or what there is of one: its manifest first, so that it is no set any more, whatever follows.

        Raises:
            StoreError: something of it may still be there.
        """

        def gone(beat: Beat) -> None:
            filesystem = self._open()[0]
            filesystem.invalidate_cache()
            with suppress(FileNotFoundError):
                filesystem.rm_file(self._path(set_id, FILE_NAME))
            beat()
            filesystem.invalidate_cache()
            with suppress(FileNotFoundError):
                filesystem.rm(self._path(set_id, "").rstrip("/"), recursive=True)

        self._writing(gone, SLOW_TIMES)

    def _writing(self, call: Callable[[Beat], _T], times: int = 1) -> _T:
        seconds = self._call_seconds * times
        try:
            return watched(call, seconds, seconds)
        except Exception as error:  # noqa: BLE001 - each protocol has exceptions of its own
            raise self._refusal(error) from None

    def _refusal(self, error: Exception) -> DowntimeError:
        """What a failure to write is called."""
        if isinstance(error, DowntimeError):
            return error
        if isinstance(error, SilentError):
            return self._hangs(error, "")
        number = error.errno if isinstance(error, OSError) else None
        if number in _FULL or _SAYS_FULL.search(str(error)):
            remedy = "Make room there (retention: [recovery] keep_sets, keep_days), then take the backup again."
            return StoreError("store-full", f"the backup store {self.name} is full", remedy)
        if number == errno.EROFS:
            remedy = "Mount it for writing, then take the backup again."
            return StoreError("store-read-only", f"the backup store {self.name} is read-only", remedy)
        if isinstance(error, PermissionError):
            message = f"the backup store {self.name} may not be written (permission denied)"
            return StoreError("store-forbidden", message, _WRITABLE)
        return self._said(error, "")


class _LocalFile:
    """A file that only its owner may read."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._open = True

    def write(self, data: bytes, /) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]

    def commit(self) -> None:
        os.fsync(self._handle)
        self._close()
        _see_folder_on_disk(os.path.dirname(self._path))  # noqa: PTH120

    def abandon(self) -> None:
        self._close()
        os.unlink(self._path)  # noqa: PTH108

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._handle)


class _StoredFile:
    """A file by fsspec. Object stores make one when it is closed: one that is abandoned is never closed."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: bytes, /) -> None:
        self._file.write(data)

    def commit(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        from fsspec.spec import AbstractBufferedFile

        if not isinstance(self._file, AbstractBufferedFile):
            self._file.close()
            return
        try:
            self._file.discard()
        finally:
            # It would be uploaded by the garbage collector otherwise.
            self._file.closed = True


def _replace(target: str, text: bytes) -> None:
    folder = os.path.dirname(target)  # noqa: PTH120
    unfinished = _LocalFile(f"{folder}/.{FILE_NAME}.unfinished")
    try:
        unfinished.write(text)
        unfinished.commit()
        os.rename(f"{folder}/.{FILE_NAME}.unfinished", target)  # noqa: PTH104
    except OSError:
        with suppress(OSError):
            unfinished.abandon()
        raise
    _see_folder_on_disk(folder)
    # The folder's own name is an entry of the store.
    _see_folder_on_disk(os.path.dirname(folder))  # noqa: PTH120


def _see_folder_on_disk(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _has_no_folders(filesystem: Any) -> bool:
    # There a folder is a part of a name, and making one might make a bucket.
    protocol = filesystem.protocol
    return bool(_OBJECT_STORES & {protocol} if isinstance(protocol, str) else _OBJECT_STORES & set(protocol))
