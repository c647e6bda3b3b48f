"""The store of backup sets: a folder, or any URL that fsspec reads. Nothing here judges, and nothing here writes.

Each call runs in a thread of its own with a deadline, since many protocols (and a dead NFS server under a plain folder)
have no timeout that could be relied on. The thread of a call that was given up is a daemon: it holds up nobody.

Messages name the store with its user, password and query hidden, and never hold a storage option.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from cluster.errors import Blocked, Misused
from cluster.manifest import FILE_NAME, Manifest, ManifestError, Part, damaged, is_set_id, parse
from cluster.showing import masked, shown
from cluster.watched import Beat, SilentError, watched

CALL_SECONDS = 30.0
CHECKSUM_SECONDS = 3600.0
# Far more than a manifest or a runaiconfig ever is; keeps a wrong file from filling the memory.
DOCUMENT_BYTES = 8 << 20

_CHUNK_BYTES = 4 << 20
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ")
_T = TypeVar("_T")


class StoreError(Blocked):
    """The store cannot be used: ``store-missing``, ``-forbidden``, ``-unreachable``, ``-hangs`` or ``-protocol``."""


class FileRefused(StoreError):
    """One file in an otherwise working store is missing or cannot be read."""


@dataclass(frozen=True)
class SetEntry:
    """A folder in the store, perhaps a backup set: whether it has a manifest is seen when that is read.

    Attributes:
        id: the folder's name.
        taken: the moment that the name tells (``2026-11-24T08-46-22Z``, perhaps with a suffix); None: it tells none.
    """

    id: str
    taken: datetime | None


@dataclass(frozen=True)
class OpenedFile:
    """A file that is being read: ``read(size)`` gives at most so many bytes, and none at its end."""

    read: Callable[[int], bytes]


class Store:
    """A store of backup sets.

    Args:
        url: a folder's absolute path, or a URL for fsspec.
        options: fsspec's storage options, already resolved: they may be secrets, and are never shown.
        call_seconds: deadline of each single call, and the longest silence while a part is read.

    Raises:
        Misused: the URL is empty or a relative path (``serve`` works in a folder of its own).
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None, call_seconds: float = CALL_SECONDS) -> None:
        plain = url.removeprefix("file://").removeprefix("local://")
        if not plain or (not plain.startswith(("/", "~")) and "://" not in plain and "::" not in plain):
            raise Misused(
                "bad-store-url",
                f"{masked(url)!r} is not the address of a backup store",
                "Set [recovery] store to an absolute path or a URL, like file:///srv/backups.",
            )
        self._url = url
        self._options = dict(options or {})
        self._call_seconds = call_seconds
        self._opened: tuple[Any, str] | None = None

    @property
    def name(self) -> str:
        """The store's URL, safe to show."""
        return masked(self._url)

    def __repr__(self) -> str:
        return f"Store({self.name!r})"

    def sets(self) -> list[SetEntry]:
        """The folders that can be sets, newest first by their names; first of all those whose names tell no time.

        Hidden folders and names that no set can have (``lost+found``) are left out, and so are links to folders
        (their type is not ``directory``): a link ``latest`` is not one more set.

        Raises:
            StoreError: missing, forbidden, unreachable, hangs.
        """

        def listing(_: Beat) -> list[dict[str, Any]]:
            filesystem, root = self._open()
            # A process that serves for weeks must not judge by an old listing.
            filesystem.invalidate_cache()
            entries = cast("list[dict[str, Any]]", filesystem.ls(root, detail=True))
            if (
                len(entries) == 1
                and entries[0]["type"] == "file"
                and entries[0]["name"].rstrip("/") == root.rstrip("/")
            ):
                raise NotADirectoryError(root)
            return entries

        folders = [entry for entry in self._call("", listing) if entry["type"] == "directory"]
        names = [str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in folders]
        entries = [SetEntry(name, time_of(name)) for name in names if is_set_id(name)]
        return sorted(
            entries, key=lambda entry: (entry.taken or datetime.max.replace(tzinfo=UTC), entry.id), reverse=True
        )

    def read_manifest(self, set_id: str) -> Manifest:
        """The manifest of a set.

        Raises:
            ManifestError: missing (the set was not finished), damaged, newer, or of a set with another id.
            StoreError: the store failed.
        """
        where = f"{set_id}/{FILE_NAME}"
        try:
            manifest = parse(self.read(set_id, FILE_NAME), where)
        except FileRefused as error:
            if error.code != "store-missing":
                raise
            raise ManifestError(
                "manifest-missing",
                f"{set_id} has no {FILE_NAME}: it was not finished",
                "Take a new backup set; remove this folder.",
            ) from None
        if manifest.id != set_id:
            raise damaged(where, f"it describes the set {manifest.id}")
        return manifest

    def has_manifest(self, set_id: str) -> bool:
        """Whether the folder has a manifest, read or not."""
        return bool(
            self._call(f"{set_id}/{FILE_NAME}", lambda _: self._open()[0].exists(self._path(set_id, FILE_NAME)))
        )

    def size(self, set_id: str, part: Part) -> int:
        """The size in bytes of a part's file, by the store's own word.

        Raises:
            FileRefused: missing, forbidden, not a file, or of a size that the store does not tell.
            StoreError: the store failed.
        """
        path = _path_of(part)
        info = self._call(f"{set_id}/{path}", lambda _: self._open()[0].info(self._path(set_id, path)))
        if info.get("type") != "file" or not isinstance(info.get("size"), int):
            raise FileRefused("store-file", f"{set_id}/{path} is not a file with a size", "Take a new backup set.")
        return int(info["size"])

    def read(self, set_id: str, path: str, limit: int = DOCUMENT_BYTES) -> bytes:
        """A small file of a set, whole.

        Raises:
            FileRefused: missing, forbidden, or longer than ``limit`` bytes.
            StoreError: the store failed.
        """

        def whole(_: Beat) -> bytes:
            with self._open()[0].open(self._path(set_id, path), "rb") as file:
                return cast(bytes, file.read(limit + 1))

        content = self._call(f"{set_id}/{path}", whole)
        if len(content) > limit:
            raise FileRefused("store-file", f"{set_id}/{path} is longer than {limit} bytes", "Take a new backup set.")
        return content

    def names(self, set_id: str, folder: str) -> list[str]:
        """The names of what lies in a folder of a set; none, if there is no such folder.

        Raises:
            StoreError: the store failed.
        """

        def listing(_: Beat) -> list[str]:
            try:
                found = self._open()[0].ls(self._path(set_id, folder), detail=False)
            except FileNotFoundError:
                return []
            return [str(name).rstrip("/").rpartition("/")[2] for name in found]

        return self._call(f"{set_id}/{folder}", listing)

    @contextmanager
    def opened(self, set_id: str, path: str) -> Iterator[OpenedFile]:
        """A file of a set, to be read from its beginning piece by piece; each read has the deadline of a call.

        Raises:
            FileRefused: missing or forbidden; so do the reads.
            StoreError: the store failed; so do the reads.
        """
        name = f"{set_id}/{path}"
        file = self._call(name, lambda _: self._open()[0].open(self._path(set_id, path), "rb"))
        try:
            yield OpenedFile(lambda size: cast(bytes, self._call(name, lambda _: file.read(size))))
        finally:
            with suppress(StoreError):
                self._call(name, lambda _: file.close())

    def checksum(self, set_id: str, part: Part, within_seconds: float = CHECKSUM_SECONDS) -> str:
        """SHA-256 of a part's file in 64 hex digits, read in chunks: a dump may be larger than the memory.

        Raises:
            FileRefused: missing or forbidden.
            StoreError: the store failed, was silent for ``call_seconds``, or took longer than ``within_seconds``.
        """
        path = _path_of(part)

        def digest(beat: Beat) -> str:
            found = hashlib.sha256()
            with self._open()[0].open(self._path(set_id, path), "rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    found.update(chunk)
                    beat()
            return found.hexdigest()

        return self._call(f"{set_id}/{path}", digest, within_seconds)

    def _open(self) -> tuple[Any, str]:
        if self._opened is None:
            import fsspec  # type: ignore[import-untyped,unused-ignore]

            # Not fsspec's cached instance: its connection and its secrets would outlive this object.
            opened = fsspec.core.url_to_fs(self._url, skip_instance_cache=True, **self._options)
            self._opened = (opened[0], str(opened[1]))
        return self._opened

    def _path(self, set_id: str, path: str) -> str:
        if not is_set_id(set_id):
            raise Misused("bad-set-id", f"{set_id[:80]!r} cannot be the id of a backup set", "See the store's folders.")
        return f"{self._open()[1].rstrip('/')}/{set_id}/{path}"

    def _call(self, file: str, call: Callable[[Beat], _T], within_seconds: float | None = None) -> _T:
        total = self._call_seconds if within_seconds is None else within_seconds
        try:
            return watched(call, min(self._call_seconds, total), total)
        except SilentError as error:
            raise self._hangs(error, file) from None
        except (StoreError, Misused):
            raise
        except Exception as error:  # noqa: BLE001 - each protocol has exceptions of its own
            # Without its cause: what a library puts into an exception may be a secret.
            raise self._said(error, file) from None

    def _hangs(self, error: SilentError, file: str) -> StoreError:
        return StoreError(
            "store-hangs",
            f"the backup store {self.name} did not answer in time ({error}{', ' + file if file else ''})",
            "See that the store (its server, its mount) works, then run again.",
        )

    def _said(self, error: Exception, file: str) -> StoreError:
        kind = FileRefused if file else StoreError
        subject = file or f"the backup store {self.name}"
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            what = "is a file, not a folder" if isinstance(error, NotADirectoryError) and not file else "does not exist"
            return kind("store-missing", f"{subject} {what}", "Correct [recovery] store, or take a new backup set.")
        if isinstance(error, PermissionError):
            remedy = "Allow the user (or the credentials) that downtime runs with to read the store."
            return kind("store-forbidden", f"{subject} may not be read (permission denied)", remedy)
        if isinstance(error, OSError) and error.errno == errno.EIO and file:
            return kind("store-file", f"{subject} cannot be read (input/output error)", "Look at the store's disks.")
        if isinstance(error, ImportError) or (isinstance(error, ValueError) and self._opened is None):
            remedy = "Correct the URL in [recovery] store, or install fsspec's package for its protocol."
            return StoreError("store-protocol", f"{self.name} cannot be opened: {self._clean(error)}", remedy)
        return StoreError(
            "store-unreachable",
            f"the backup store {self.name} cannot be reached: {self._clean(error)}",
            "See that the store works and that its credentials are valid, then run again.",
        )

    def _clean(self, error: Exception) -> str:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        for value in sorted(_texts(self._options), key=len, reverse=True):
            # Shorter ones are ports and flags: hiding them would only garble the sentence.
            text = text.replace(value, "***") if len(value) > 3 else text
        return shown(masked(text.replace(self._url, self.name)))


def _texts(value: Any) -> Iterator[str]:
    """Each text in an option's value, which may be nested (``client_kwargs``)."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)
    else:
        yield str(value)


def _path_of(part: Part) -> str:
    if part.path is None:
        raise Misused("no-file", f"{part.title} is an external backup", "Only parts with a path can be read.")
    return part.path


def time_of(set_id: str) -> datetime | None:
    """The moment that a set's id tells, if it begins with one like ``2026-11-24T08-46-22Z``."""
    if not (stamp := _STAMP.match(set_id)):
        return None
    try:
        return datetime.strptime(stamp.group(), "%Y-%m-%dT%H-%M-%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
