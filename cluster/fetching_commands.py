"""Shell commands that bring a set from its store to the machine of a restore. Pure; no credential is in any of them.

What is needed besides the address (a user, an endpoint of an S3-compatible store, credentials) is printed where it is
no secret, and named where it is one.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from cluster.showing import masked

_USER = re.compile(r"(?P<scheme>[a-z0-9+.-]+://)[^/@]*@", re.IGNORECASE)
_PROGRAM = (
    "import fsspec, json, os, sys; options = json.loads(os.environ.get('STORE_OPTIONS') or '{}'); "
    "url = sys.argv[1].replace('://USER@', '://' + os.environ.get('STORE_USER', '') + '@', 1); "
    "fs, root = fsspec.core.url_to_fs(url, **options); "
    "fs.get(root.rstrip('/') + '/', sys.argv[2].rstrip('/') + '/', recursive=True)"
)


def fetch(store: str, set_id: str, options: Mapping[str, Any] | None = None) -> list[str]:
    """Brings the set to this machine; of a local store it is only named.

    Args:
        store: its URL; a user or password in it is never shown.
        options: of the configuration; only what is known to be no secret is shown, the rest only named.
    """
    local = store.removeprefix("file://").removeprefix("local://")
    if local.startswith("/"):
        return [f"export SET={shlex.quote(local.rstrip('/') + '/' + set_id)}"]
    into = f'export SET="$WORK"/{shlex.quote(set_id)}'
    given = options or {}
    if re.match(r"s3a?://", store):
        source = re.sub(r"^s3a?://(?:[^/@]*@)?", "s3://", masked(store).rstrip("/"))
        needed = _commented(_secret(given), "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (or an AWS profile)")
        endpoint = _endpoint(given)
        at = f" --endpoint-url {shlex.quote(endpoint)}" if endpoint else ""
        return [into, *needed, f'aws{at} s3 cp --recursive {shlex.quote(f"{source}/{set_id}")} "$SET"']
    bare = _USER.sub(lambda found: f"{found['scheme']}USER@", store.partition("?")[0])
    source = f"{bare.rstrip('/')}/{set_id}"
    user = ["export STORE_USER=USER  # the user of the store's URL"] if "://USER@" in source else []
    public = {name: value for name, value in given.items() if name in ("host", "port", "username")}
    needed = _commented(_secret(given), "those that the store's kind asks for")
    shown = f"export STORE_OPTIONS={shlex.quote(json.dumps(public))}"
    return [
        into,
        *needed,
        *user,
        shown,
        f'python3 -c {shlex.quote(_PROGRAM)} {shlex.quote(source)} "$SET"',
    ]


def _endpoint(options: Mapping[str, Any]) -> str:
    inner = options.get("client_kwargs")
    found = options.get("endpoint_url") or (inner.get("endpoint_url") if isinstance(inner, Mapping) else None)
    return masked(found) if isinstance(found, str) else ""


def _secret(options: Mapping[str, Any]) -> list[str]:
    plain = ("host", "port", "username", "endpoint_url", "client_kwargs", "config_kwargs")
    return [name for name in options if name not in plain and name.isprintable()]


def _commented(names: list[str], needed: str) -> list[str]:
    configured = f" Configured as storage_options: {', '.join(names)}." if names else ""
    return [f"# Credentials are needed, and are not shown: {needed}.{configured}"]
