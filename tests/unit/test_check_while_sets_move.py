"""Sets are taken and removed, and stores fail, while the check reads: another set decides, and no traceback."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from cluster.backups import Store
from cluster.manifest import Manifest, Part
from tests.unit.asking import ask, blocked
from tests.unit.backup_sets import NOW, document, id_of, write

BEGAN = NOW - timedelta(hours=2)
EARLIER = BEGAN - timedelta(days=1)
SET = id_of(BEGAN)


class MovingStore(Store):
    """Does something to the store at the n-th reading of a manifest, size, or checksum."""

    def __init__(self, url: str, at: int, what: Callable[[], None]) -> None:
        super().__init__(url)
        self._left, self._what = at, what

    def _tick(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._what()

    def read_manifest(self, set_id: str) -> Manifest:
        self._tick()
        return super().read_manifest(set_id)

    def size(self, set_id: str, part: Part) -> int:
        self._tick()
        return super().size(set_id, part)

    def checksum(self, set_id: str, part: Part, within_seconds: float = 60.0) -> str:
        self._tick()
        return super().checksum(set_id, part, within_seconds)


@pytest.mark.parametrize("at", range(1, 12))
def test_a_set_that_is_removed_while_it_is_read_leaves_the_word_to_another(tmp_path: Path, at: int) -> None:
    write(tmp_path, document(EARLIER))
    write(tmp_path, document(BEGAN))
    verdict = ask(MovingStore(str(tmp_path), at, lambda: shutil.rmtree(tmp_path / SET)))
    assert verdict.verdict == "passed"
    assert verdict.set in (id_of(EARLIER), SET)
    # The last reading was behind when the set was removed.
    assert verdict.set == id_of(EARLIER) or at > 8


@pytest.mark.parametrize("at", range(1, 9))
def test_a_set_that_replaces_the_only_one_while_it_is_read_decides(tmp_path: Path, at: int) -> None:
    newer = NOW - timedelta(minutes=30)
    write(tmp_path, document(BEGAN))

    def replaced() -> None:
        write(tmp_path, document(newer))
        shutil.rmtree(tmp_path / SET)

    verdict = ask(MovingStore(str(tmp_path), at, replaced))
    assert (verdict.verdict, verdict.set) == ("passed", id_of(newer))


def test_a_set_that_is_finished_while_the_gate_reads_decides(tmp_path: Path) -> None:
    folder = write(tmp_path, document(BEGAN))
    finished = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()

    class Finishing(Store):
        def read_manifest(self, set_id: str) -> Manifest:
            try:
                return super().read_manifest(set_id)
            finally:
                (folder / "manifest.json").write_bytes(finished)

    verdict = ask(Finishing(str(tmp_path)))
    assert (verdict.verdict, verdict.set) == ("passed", SET)


def test_a_store_whose_sets_all_vanish_blocks_in_a_sentence(tmp_path: Path) -> None:
    write(tmp_path, document(BEGAN))
    blocked(MovingStore(str(tmp_path), 3, lambda: shutil.rmtree(tmp_path / SET)), "there is no backup set")


def test_a_store_that_is_cut_off_in_the_middle_blocks_and_says_so(tmp_path: Path) -> None:
    write(tmp_path, document(EARLIER))
    write(tmp_path, document(BEGAN))

    class CutOff(Store):
        def checksum(self, set_id: str, part: Part, within_seconds: float = 60.0) -> str:
            return self._call(f"{set_id}/{part.path}", self._cut)

        def _cut(self, _: object) -> str:
            raise ConnectionResetError("reset")

    verdict = blocked(CutOff(str(tmp_path)), "cannot be reached")
    assert [line.check for line in verdict.lines] == ["store"]
