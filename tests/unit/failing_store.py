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


class FaultyFileSystem(MemoryFileSystem):  # type: ignore[misc,unused-ignore]
    """Keeps what is written until it is cut off, and may damage it. Protocol ``faulty://``."""

    protocol = "faulty"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    cut_off_at: ClassVar[str] = ""
    flipped: ClassVar[str] = ""
    cut_off: ClassVar[bool] = False

    @classmethod
    def reset(cls, *, cut_off_at: str = "", flipped: str = "") -> None:
        """All is well from now on, until the file of this ending is written; one of the other ending is damaged."""
        cls.cut_off_at, cls.flipped, cls.cut_off = cut_off_at, flipped, False

    @classmethod
    def empty(cls) -> None:
        """Forget everything."""
        cls.reset()
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]

    @classmethod
    def _strip_protocol(cls, path: str) -> Any:
        return super()._strip_protocol(path.removeprefix("faulty://"))

    def open(self, path: str, mode: str = "rb", **more: Any) -> Any:
        if "w" in mode and self.cut_off_at and path.endswith(self.cut_off_at):
            type(self).cut_off = True
        self._see()
        file = super().open(path, mode, **more)
        if "w" in mode and self.flipped and path.endswith(self.flipped):
            true_write = file.write
            file.write = lambda data: true_write(data[:-1] + bytes([data[-1] ^ 1]))
        return file

    def ls(self, path: str, detail: bool = True, **more: Any) -> Any:
        self._see()
        return super().ls(path, detail, **more)

    def info(self, path: str, **more: Any) -> Any:
        self._see()
        return super().info(path, **more)

    def rm_file(self, path: str) -> None:
        self._see()
        super().rm_file(path)

    def rm(self, path: str, recursive: bool = False, maxdepth: int | None = None) -> None:
        self._see()
        super().rm(path, recursive, maxdepth)

    def _see(self) -> None:
        if self.cut_off:
            raise ConnectionResetError(104, "Connection reset by peer")


fsspec.register_implementation("faulty", FaultyFileSystem, clobber=True)
fsspec.register_implementation("remembering", RememberingFileSystem, clobber=True)
fsspec.register_implementation("failing", FailingFileSystem, clobber=True)
fsspec.register_implementation("dripping", DrippingFileSystem, clobber=True)
fsspec.register_implementation("writing", WritingFileSystem, clobber=True)
