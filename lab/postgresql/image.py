"""The container image of the database, for labs with hosts: Debian's PostgreSQL with Run:ai's databases in it.

Made by debootstrap like the image of the hosts, kept in the cache of this machine under a key of all that it was made
from, and imported only on the host that runs it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from lab.archive import REPOSITORY, add, image_config
from lab.images import BUILD_SECONDS, SUITE, UNTIL_WE_END, ensure_base
from lab.layout import PROJECT, cache_folder
from lab.locks import held
from lab.postgresql import template
from lab.processes import run
from lab.progress import Progress

IMAGE = f"{REPOSITORY}/postgresql:15"
PACKAGES = "postgresql-15"
BIN = "/usr/lib/postgresql/15/bin"
DATA = "/bitnami/postgresql/data"
METRICS = "/var/thanos/receive"
METRICS_COMMAND = ("lab-metrics", METRICS)
FILES = PROJECT / "lab" / "postgresql" / "rootfs"
SETTINGS = (*template.COMMON, "listen_addresses=*")
ACCESS = "local all all scram-sha-256\nhost all all all scram-sha-256\n"

SETUP = f"""\
chmod 755 /usr/local/bin/lab-*
rm -rf /var/lib/postgresql/15 /etc/postgresql
mkdir -p /usr/share/lab /run/postgresql
chown postgres /usr/share/lab /run/postgresql
export PATH={BIN}:$PATH PGUSER=postgres PGPASSWORD={template.PASSWORD}
cd /usr/share/lab
as_postgres() {{ setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }}
echo {template.PASSWORD} > /tmp/password
as_postgres initdb -D data -U postgres -E UTF8 --locale=C.UTF-8 --auth=scram-sha-256 --pwfile=/tmp/password \\
    --no-sync --wal-segsize=1
cat /tmp/settings >> data/postgresql.conf
cat /tmp/access > data/pg_hba.conf
as_postgres pg_ctl -D data -w -t 60 -l /tmp/log -o "-c listen_addresses=" start
for script in {" ".join(f"{database}:{name}" for database, name in template.SCRIPTS)}; do
    psql -qX -v ON_ERROR_STOP=1 -d "${{script%%:*}}" < "/tmp/${{script#*:}}" >/dev/null
done
as_postgres pg_ctl -D data -w -m fast stop
rm -rf /tmp/* /var/cache/apt /var/lib/apt/lists/* /usr/share/doc /usr/share/man /usr/share/locale /var/log/*
rm -rf {BIN}/../lib/bitcode {BIN}/../lib/llvmjit.so /usr/lib/*/libLLVM* /usr/lib/*/libz3*
rm -rf /usr/share/perl* /usr/lib/*/perl* /usr/lib/*/libperl.so*
"""
"""Run inside the new root. Without compiled queries (LLVM) and Perl the image has half of its size."""


def ensure(progress: Progress) -> Path:
    """The archive (as of ``docker save``) of the image, made unless it is cached. Raises LabError."""
    parts = [SUITE, PACKAGES, SETUP, *SETTINGS, ACCESS, DATA]
    parts += [(template.SQL / name).read_text() for _, name in template.SCRIPTS]
    parts += [path.read_text() for path in sorted(FILES.rglob("*")) if path.is_file()]
    final = cache_folder() / "database-image" / f"{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}.tar"
    if final.exists():
        return final
    busy = "another lab makes the image of the database"
    with held(cache_folder() / "locks" / "database-image", timeout=BUILD_SECONDS, what=busy):
        if final.exists():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        for old in final.parent.iterdir():  # a lab that still needs it has its own link to it
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        log = cache_folder() / "logs" / "database-image.log"
        base = ensure_base("database-base", PACKAGES, progress, log)
        with (
            progress.step("making the image of the database (once)"),
            tempfile.TemporaryDirectory(dir=final.parent, prefix=".building-", ignore_cleanup_errors=True) as scratch,
        ):
            _build(base, Path(scratch), log)
            (Path(scratch) / "image.tar").rename(final)
    return final


def _build(base: Path, scratch: Path, log: Path) -> None:
    root, layer = scratch / "root", scratch / "layer.tar"
    root.mkdir()
    run(["tar", "-C", root, "-xf", base], log=log, timeout=300, what="unpacking the root filesystem")
    shutil.copytree(FILES, root, dirs_exist_ok=True)
    for _, name in template.SCRIPTS:
        shutil.copyfile(template.SQL / name, root / "tmp" / name)
    (root / "tmp" / "settings").write_text("".join(f"{_quoted(setting)}\n" for setting in SETTINGS))
    (root / "tmp" / "access").write_text(ACCESS)
    setup = ["chroot", str(root), "sh", "-eux", "-c", SETUP]
    run([*UNTIL_WE_END, *setup], log=log, timeout=300, what="making the databases")
    run(["tar", "-C", root, "-cf", layer, "."], log=log, timeout=300, what="packing the root filesystem")
    _write(layer, scratch / "image.tar")


def _write(layer: Path, archive: Path) -> None:
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    config = image_config(digest, ["lab-postgresql"])
    path = f"{BIN}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    config["config"] |= {"Env": [f"PATH={path}", f"PGDATA={DATA}", "LANG=C.UTF-8"], "StopSignal": "SIGINT"}
    text = json.dumps(config).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    manifest = [{"Config": name, "RepoTags": [IMAGE], "Layers": [f"{digest}/layer.tar"]}]
    with tarfile.open(archive, "w") as tar:
        tar.add(layer, arcname=f"{digest}/layer.tar")
        add(tar, name, text)
        add(tar, "manifest.json", json.dumps(manifest).encode())
    layer.unlink()


def _quoted(setting: str) -> str:
    key, _, value = setting.partition("=")
    return f"{key} = '{value}'"


def link(archive: Path, folder: Path) -> None:
    """Put it where a host sees it, so that a cleared cache does no harm."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "database.tar"
    try:
        os.link(archive, target)
    except OSError:
        shutil.copyfile(archive, target)
