"""One dump as the product takes it, in a process of its own whose time and memory are measured.

``python -m bench.dumping CONFIGURATION DATABASE FOLDER [RECIPIENT]`` prints the bytes of the dump in the clear.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from cluster import api, config, database_server, databases, gathering, helm_releases
from cluster.encryption import Recipients
from cluster.set_writer import SetWriter, new_set
from cluster.store_writing import WritableStore


def main(configuration: str, database: str, folder: str, *recipients: str) -> None:
    """Dump one database through the pod into a set in ``folder``: counted, hashed, and encrypted for the recipients."""
    session = api.connect(config.load(Path(configuration)).cluster)
    server = database_server.find(session, helm_releases.newest(session, *gathering.RELEASES[0]))
    found = databases.look(server)
    source = next(one for one in databases.sources(server, found) if one.name == database)
    store = WritableStore(folder, {})
    writer = SetWriter(store, new_set(store, datetime.now(UTC)), Recipients(recipients))
    part = writer.take(source)
    if part.contents is None or not part.contents.tables:
        raise SystemExit("nothing was dumped")
    print(part.contents.bytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
