"""A table is found in a dump's listing whatever its owner is called."""

from __future__ import annotations

from cluster import dump_contents
from cluster.evidence import Seen, SetEvidence
from cluster.judging_dumps import contents
from cluster.manifest import Contents, Manifest, Part
from tests.unit.backup_sets import NOW, UID, id_of

LISTED = """;
;     TOC Entries: 22
;     Format: CUSTOM
;
3368; 0 16387 TABLE DATA public projects run ai
3369; 0 16388 TABLE DATA public users postgres
"""


def judged(*tables: str) -> str:
    noted = Contents(bytes=1, sha256="0" * 64, entries=22, tables=dict.fromkeys(tables, 1))
    part = Part(kind="database", name="backend", path="backend.dump", bytes=1, sha256="0" * 64, contents=noted)
    manifest = Manifest(
        schema_version=2, id=id_of(NOW), cluster_uid=UID, began=NOW, finished=NOW, versions={}, parts=(part,)
    )
    seen = Seen(1, dump=dump_contents.parse(LISTED))
    (line,) = contents(SetEvidence(manifest.id, NOW, manifest, files={"backend.dump": seen}), manifest, "checksums")
    return f"{line.level} {line.reason}"


def test_a_table_whose_owner_has_a_blank_in_its_name_is_there() -> None:
    assert judged("public.projects", "public.users").startswith("PASS")


def test_a_table_that_only_begins_alike_is_lacking() -> None:
    assert "lacks tables that had rows when it was taken: public.project, public.user" in judged(
        "public.project", "public.user"
    )
