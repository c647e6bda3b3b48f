"""``[runai]``: how the REST API of Run:ai's control plane is reached. A section that is not there: it is not used."""

from __future__ import annotations

import ipaddress
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from cluster.config_paths import AnchoredPath
from cluster.secret_refs import SecretRef


class RunaiSettings(BaseModel):
    """``[runai]``: the REST API, by which interactive work is suspended before a drain and resumed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    """Of the control plane, as researchers open it: ``https://runai.example.org``."""
    grant: Literal["client_credentials", "app_token"] = "client_credentials"
    """How a token is asked for: by a service account (newer), or by an application (older versions)."""
    client_id: str = Field(min_length=1)
    """The service account's client id, or the application's name (``app_token``)."""
    client_secret: SecretRef
    """Its secret."""
    cluster_id: str = ""
    """Run:ai's own id of this cluster, where one control plane serves several."""
    ca_file: AnchoredPath | None = None
    """Certificate authorities to trust; None: those of the machine."""
    allow_http: bool = False
    """Over plain HTTP secret and token can be read on the way: refused, but for this machine itself."""
    timeout: PositiveFloat = 10
    """Seconds for one request."""
    patience: PositiveFloat = 60
    """Seconds for which a request is tried again while the API is busy, fails, or cannot be reached."""
    stop_minutes: PositiveFloat = 10
    """For how long a workload may take to stop once its suspension was accepted, and to start to come back."""

    @field_validator("url")
    @classmethod
    def _url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError('write the address of the control plane, for example "https://runai.example.org"')
        if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
            raise ValueError("no user, password, query or fragment in the URL: credentials are references")
        return url.rstrip("/")

    @model_validator(mode="after")
    def _not_in_the_clear(self) -> RunaiSettings:
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not self.allow_http and not is_loopback(parts.hostname or ""):
            raise ValueError(
                "plain http shows secret and token to whoever listens: use https, or say allow_http = true"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether an address is this very machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
