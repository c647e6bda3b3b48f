"""Writes one backup set: the parts first, the manifest last. Until then the folder is no set, whatever is in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import ValidationError

from cluster.backups import StoreError
from cluster.encryption import ENDING, Recipients
from cluster.errors import Blocked, DowntimeError, Failed
from cluster.manifest import Contents, Part
from cluster.outgoing import Written
from cluster.part_source import DeclaredSource, FileSource, Produced, Sink
from cluster.reach import MASKER
from cluster.showing import shown
from cluster.store_writing import WritableStore

_STAMP = "%Y-%m-%dT%H-%M-%SZ"
_NAMES = 100

Passing = Callable[[int], None]
"""Is told how many bytes of a part have passed until now."""


def new_set(store: WritableStore, began: datetime) -> str:
    """Make the folder of a new set, and return its id: the time, with a number if that second has one already.

    Raises:
        StoreError: it could not be made.
    """
    stamp = began.astimezone(UTC).strftime(_STAMP)
    for number in range(1, _NAMES):
        set_id = stamp if number == 1 else f"{stamp}-{number}"
        if store.make_folder(set_id):
            return set_id
    raise StoreError("store-exists", f"{store.name} has {_NAMES} folders named {stamp}", "See whose they are.")


class SetWriter:
    """Writes the parts of one set, in a folder that exists.

    Args:
        store: where.
        set_id: the folder.
        recipients: for whom the files are encrypted; none: they are not.
    """

    def __init__(self, store: WritableStore, set_id: str, recipients: Recipients) -> None:
        self._store = store
        self._set_id = set_id
        self._recipients = recipients

    def take(self, source: FileSource | DeclaredSource, passing: Passing = lambda _: None) -> Part:
        """Store what a source has; the part of the manifest that tells of it.

        Raises:
            DowntimeError: of the source (nothing, or not all, could be read), or of the store.
        """
        if isinstance(source, DeclaredSource):
            return Part(kind=source.kind, name=source.name, external=source.external)
        path = source.path + (ENDING if self._recipients else "")
        produced, written = self._store_file(source, path, passing)
        title = f"{source.kind}/{source.name}"
        if written.clear_bytes == 0:
            raise Failed("part-empty", f"{title} is empty: there was nothing to save", "See why, then take it again.")
        try:
            part = Part(
                kind=source.kind,
                name=source.name,
                path=path,
                bytes=written.bytes,
                sha256=written.sha256,
                began=produced.began,
                encrypted=bool(self._recipients),
                contents=_contents(produced, written),
            )
        except ValidationError as error:
            where = ".".join(str(step) for step in error.errors()[0]["loc"])
            raise Failed("part-unnamable", f"{title} has what no manifest can hold: {where}", "Report this.") from None
        size = self._store.size(self._set_id, part)
        if size != written.bytes:
            raise StoreError(
                "store-file",
                f"{self._set_id}/{path} has {size} bytes in the store, although {written.bytes} were written",
                "See that the store works, then take the backup again.",
            )
        return part

    def _store_file(self, source: FileSource, path: str, passing: Passing) -> tuple[Produced, Written]:
        outgoing = self._store.outgoing(self._set_id, path, self._recipients)
        try:
            produced = source.produce(_Passing(outgoing, passing))
            return produced, outgoing.finish()
        except BaseException as error:
            failure = outgoing.failure
            outgoing.abandon()
            # A store that fails makes the source fail as well: the cause is told, not what followed from it.
            if failure is not None and isinstance(error, Exception):
                raise failure from None
            if isinstance(error, DowntimeError) or not isinstance(error, Exception):
                raise
            text = shown(MASKER.mask(f"{type(error).__name__}: {error}"))
            raise Failed(
                "part-unreadable",
                f"{source.kind}/{source.name} could not be read: {text}",
                "Take the backup again; if that does not help, report this.",
            ) from None


def _contents(produced: Produced, written: Written) -> Contents:
    return Contents(
        bytes=written.clear_bytes,
        sha256=written.clear_sha256,
        database=produced.database,
        objects=produced.objects,
        entries=produced.entries,
        tables=produced.tables,
        server_version=produced.server_version,
        tool_version=produced.tool_version,
    )


class _Passing:
    def __init__(self, sink: Sink, passing: Passing) -> None:
        self._sink = sink
        self._passing = passing
        self._bytes = 0

    def write(self, data: bytes, /) -> int:
        taken = self._sink.write(data)
        self._bytes += taken
        self._passing(self._bytes)
        return taken


def remove_half(store: WritableStore, set_id: str, error: DowntimeError) -> DowntimeError:
    """Remove a folder that did not become a set. The error to raise then: it names the folder, if that is still there.

    What is not removed is still no set: it has no manifest, and the gate calls it half-taken.
    """
    try:
        store.remove(set_id)
    except DowntimeError:
        stands = f"the half-taken folder {set_id} in {store.name}, which is no backup set"
        wrapped = Failed(error.code, error.message, error.remedy, (*error.changed, stands))
        return error if isinstance(error, Failed) and stands in error.changed else wrapped
    return error


def refused_plaintext() -> Blocked:
    """A set would hold passwords in the clear, and nobody said that it may."""
    return Blocked(
        "no-recipients",
        "A backup set holds passwords, and there is no public key that it could be encrypted for",
        "Write age public keys into [recovery] recipients ('age-keygen' makes a pair), or, if the store itself is "
        "protected well enough, set allow_plaintext = true.",
    )
