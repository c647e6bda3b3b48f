"""A store that fails as stores do: it refuses, hangs, drips, remembers what is no longer so."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem


class FailingFileSystem(AbstractFileSystem):  # type: ignore[misc,unused-ignore]
    """Does in each call what ``failure`` says; ``released`` ends what hangs."""

    protocol = "failing"
    failure: ClassVar[Exception | None] = None
    released: ClassVar[threading.Event] = threading.Event()

    def ls(self, path: str, detail: bool = True, **_: Any) -> Any:
        return self._fail()

    def info(self, path: str, **_: Any) -> Any:
        return self._fail()

    def _fail(self) -> Any:
        if self.failure is None:
            self.released.wait(30)
            raise TimeoutError
        raise self.failure


class DrippingFile:
    """A file that never ends: one byte at each read."""

    def __init__(self) -> None:
        self.reads = 0
        self.closed = threading.Event()

    def __enter__(self) -> DrippingFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()

    def read(self, _: int = -1) -> bytes:
        self.reads += 1
        threading.Event().wait(0.01)
        return b"x"


class DrippingFileSystem(AbstractFileSystem):  # type: ignore[misc,unused-ignore]
    """Each of its files is the same one that never ends. Protocol ``dripping://``."""

    protocol = "dripping"
    file: ClassVar[DrippingFile]

    def open(self, path: str, mode: str = "rb", **_: Any) -> DrippingFile:
        return self.file


class FullFile(AbstractBufferedFile):  # type: ignore[misc,unused-ignore]
    """A file of an object store that takes two blocks, and then is full, or hangs until it is ``released``."""

    def __init__(self, *, hang: bool = False) -> None:
        self.blocks = 0
        self.hang = hang
        self.released = threading.Event()
        self.discarded = self.committed = False
        self.closed = False

    def write(self, data: bytes) -> int:
        self.blocks += 1
        if self.hang:
            self.released.wait(30)
        if self.blocks > 2:
            raise OSError(28, "No space left on device")
        return len(data)

    def close(self) -> None:
        self.committed = not self.closed
        self.closed = True

    def discard(self) -> None:
        self.discarded = True


class WritingFileSystem(AbstractFileSystem):  # type: ignore[misc,unused-ignore]
    """Whatever is written goes into the same file. Protocol ``writing://``."""

    protocol = "writing"
    file: ClassVar[FullFile]

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Folders are no matter here."""

    def open(self, path: str, mode: str = "rb", **_: Any) -> FullFile:
        return self.file


class RememberingFileSystem(MemoryFileSystem):  # type: ignore[misc,unused-ignore]
    """Lists a folder once, and then from memory, as object stores' do. Protocol ``remembering://``."""

    protocol = "remembering"
    remembered: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _strip_protocol(cls, path: str) -> Any:
        return super()._strip_protocol(path.removeprefix("remembering://"))

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        if path not in self.remembered:
            self.remembered[path] = super().ls(path, detail, **more)
        return self.remembered[path]

    def invalidate_cache(self, path: str | None = None) -> None:
        self.remembered.clear()


fsspec.register_implementation("remembering", RememberingFileSystem, clobber=True)
fsspec.register_implementation("failing", FailingFileSystem, clobber=True)
fsspec.register_implementation("dripping", DrippingFileSystem, clobber=True)
fsspec.register_implementation("writing", WritingFileSystem, clobber=True)
