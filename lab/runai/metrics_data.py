"""A folder of metrics that looks as Thanos keeps them: blocks that never change, and a log that is written to."""

from __future__ import annotations

import json
import random
from pathlib import Path

BLOCKS = ("01JZ0000000000000000000001", "01JZ0000000000000000000002")
FOLDER = "default-tenant"
CHUNK_BYTES = 200_000


def write(folder: Path) -> None:
    """Write it below ``folder``; the same each time."""
    chosen = random.Random(5)  # noqa: S311 - content, no secret
    for number, name in enumerate(BLOCKS):
        block = folder / FOLDER / name
        (block / "chunks").mkdir(parents=True)
        (block / "chunks" / "000001").write_bytes(chosen.randbytes(CHUNK_BYTES))
        (block / "index").write_bytes(chosen.randbytes(CHUNK_BYTES // 10))
        span = {"minTime": number * 7_200_000, "maxTime": (number + 1) * 7_200_000}
        (block / "meta.json").write_text(json.dumps({"ulid": name, "version": 1, **span}))
    log = folder / FOLDER / "wal"
    log.mkdir()
    (log / "00000000").write_bytes(chosen.randbytes(CHUNK_BYTES // 4))
