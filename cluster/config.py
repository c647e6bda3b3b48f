"""The configuration: one TOML file, every value overridable by a ``DOWNTIME_…`` variable.

``load()`` finds the file (``DOWNTIME_CONFIG``, else ``downtime.toml`` in the current folder, else
``/etc/downtime/downtime.toml``), and answers with ``Settings`` or with one ``Misused`` that names file, line, key and
remedy. Nothing unknown is accepted: a misspelt limit would otherwise be no limit. Variables are written
``DOWNTIME_SECTION__KEY`` (``DOWNTIME_CLUSTER__UID``); lists and tables in JSON.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from cluster.config_paths import AnchoredPath, anchored
from cluster.errors import Misused
from cluster.hosts import split_address
from cluster.max_unavailable import Limits
from cluster.names import node_name
from cluster.notify_settings import NotifySettings
from cluster.runai_config import RunaiSettings
from cluster.secret_refs import HOW, SecretRef
from cluster.xid_errors import OF_PROGRAMS

PLACEHOLDERS = ("node", "address")
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_NAME = re.compile(
    r"secret|passw|passphrase|token|credential|private|sas|(account|access|api)_?key|connection_?str", re.I
)
_PASSWORD_IN_URL = re.compile(r"^[a-z0-9+.-]+://[^/@\s]*:[^/@\s]+@", re.I)


class Section(BaseModel):
    """A table of the file: unknown keys refused, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _dependency(text: str) -> str:
    namespace, slash, selector = text.partition("/")
    if not (namespace and slash and selector):
        raise ValueError('write "NAMESPACE/LABEL-SELECTOR", for example "prefect/app=prefect-server"')
    return text


class ClusterSettings(Section):
    """``[cluster]``: which cluster, and what in it this process depends on."""

    uid: str = Field(min_length=1)
    """uid of the namespace kube-system: nothing is changed in a cluster with another one."""
    kubeconfig: AnchoredPath | None = None
    """Else the variable KUBECONFIG, else the service account of the own pod."""
    context: str = ""
    """Of the kubeconfig; empty: its current one."""
    request_timeout: PositiveFloat = 10
    """Seconds for one request to the API server."""
    lock_seconds: int = Field(default=15, ge=1)
    """Duration of the lease that lets one process at a time act on a node."""
    depends_on: list[Annotated[str, AfterValidator(_dependency)]] = []
    """"namespace/label-selector" of pods that must never be on the drained node: the Prefect server, its database."""


class HostsSettings(Section):
    """``[hosts]``: how the machines are reached over SSH. All of it may be left out where SSH is not used."""

    user: str | None = Field(default=None, min_length=1)
    key_file: AnchoredPath | None = None
    known_hosts: AnchoredPath | None = None
    port: int = Field(default=22, ge=1, le=65535)
    connect_timeout: PositiveFloat = 5
    """Seconds, for each of TCP connection, key exchange, and authentication."""
    command_timeout: PositiveFloat = 60
    """Seconds for a command where the caller gives none."""
    addresses: dict[str, str] = {}
    """Node name to "address" or "address:port"; others are reached at the node's InternalIP."""
    join_timeout: PositiveFloat = 180
    """Seconds for one 'kubeadm join'; the machine itself ends one that takes longer."""
    sudo_password: SecretRef | None = None
    """Only where sudo asks for one; it goes through standard input."""

    @field_validator("addresses")
    @classmethod
    def _addresses(cls, addresses: dict[str, str]) -> dict[str, str]:
        for node, address in addresses.items():
            try:
                node_name(node)
            except Misused as error:
                raise ValueError(error.message) from None
            try:
                split_address(address, 22)
            except ValueError as error:
                raise ValueError(f"the address of {node}: {error}") from None
        return addresses


Argv = list[str]


class PowerCommandSettings(Section):
    """``[power.command]``: argument lists, run without a shell; ``{node}`` and ``{address}`` are replaced."""

    on: Argv | None = None
    off: Argv | None = None
    reset: Argv | None = None
    status: Argv | None = None
    """Prints ``on`` or ``off``."""
    timeout: PositiveFloat = 60
    """Seconds for one command."""

    @field_validator("on", "off", "reset", "status")
    @classmethod
    def _argv(cls, argv: Argv | None) -> Argv | None:
        if argv is None:
            return None
        if not argv or not argv[0]:
            raise ValueError('give the program and its arguments as a list: ["/path/to/power", "{node}", "on"]')
        for name in _PLACEHOLDER.findall(" ".join(argv)):
            if name not in PLACEHOLDERS:
                raise ValueError(f"unknown placeholder {{{name}}}: there are {{node}} and {{address}}")
        # A bare name is looked up in PATH; one with a slash would depend on the current folder.
        return [str(anchored(Path(argv[0]))) if "/" in argv[0] or argv[0] == "~" else argv[0], *argv[1:]]


class PowerSettings(Section):
    """``[power]``: who switches the machines off and on, and who knows whether they are."""

    off: Literal["ssh", "command", "redfish"] = "ssh"
    on: Literal["person", "command", "redfish"] = "person"
    status: Literal["none", "command", "redfish"] = "none"
    command: PowerCommandSettings = PowerCommandSettings()

    @model_validator(mode="after")
    def _commands_given(self) -> PowerSettings:
        for action in ("off", "on", "status"):
            if getattr(self, action) == "command" and getattr(self.command, action) is None:
                raise ValueError(f'{action} = "command" needs the argument list "{action}" in [power.command]')
        return self


class MetricsSettings(Section):
    """``[recovery.metrics]``: how the volume with the metrics (Thanos) is saved."""

    how: Literal["auto", "snapshot", "stream", "external"] = "auto"
    """auto: a VolumeSnapshot where the cluster has that API, else streamed out of the pod."""
    snapshot_class: str = ""
    """The VolumeSnapshotClass; empty: the default of the volume's driver."""
    where: str = Field(default="", max_length=500)
    """external: where that backup is, in words."""
    taken: Argv | None = None
    """external: a command that prints when it was last taken (RFC 3339), run without a shell."""

    @model_validator(mode="after")
    def _declared(self) -> MetricsSettings:
        if self.how == "external" and not (self.where and self.taken):
            raise ValueError('how = "external" needs "where" (in words) and "taken" (a command that prints the time)')
        return self


class RecoverySettings(Section):
    """``[recovery]``: where backup sets are, and how old they may be."""

    store: str = ""
    """An fsspec URL, or a folder; empty: none."""
    max_age_hours: PositiveFloat = 30
    storage_options: dict[str, SecretRef | str | int | float | bool | dict[str, Any]] = {}
    """For fsspec: plain values, or references where they are secret."""
    recipients: list[str] = []
    """age public keys (``age1…``, or an SSH public key) that new sets are encrypted for."""
    allow_plaintext: bool = False
    """Sets hold passwords: without recipients none is taken unless this says so."""
    identity: SecretRef | None = None
    """The private key of one of the recipients. A rehearsal needs it; nothing else does."""
    postgres: AnchoredPath | None = None
    """The folder with PostgreSQL's programs, for whatever needs them here; None: where Debian and Red Hat put them."""
    keep_sets: PositiveInt = 14
    """How many whole sets are kept."""
    keep_days: PositiveFloat = 90
    """For how many days a set is kept. The newest good set stays whatever its age."""
    rehearsal_max_age_days: PositiveFloat | None = None
    """How long ago a set must have been restored in rehearsal for the gate to pass; None: not asked for."""
    metrics: MetricsSettings = MetricsSettings()

    @field_validator("store")
    @classmethod
    def _store(cls, store: str) -> str:
        if _PASSWORD_IN_URL.match(store):
            raise ValueError("no password in the URL: give it in storage_options, as a reference")
        return str(anchored(Path(store))) if store and "://" not in store else store

    @field_validator("storage_options", mode="before")
    @classmethod
    def _options(cls, options: Any) -> Any:
        if not isinstance(options, dict):
            return options
        for name, value in options.items():
            if isinstance(value, str) and _SECRET_NAME.search(name):
                raise ValueError(f"{name}: a secret is never written here; {HOW}")
        return {name: SecretRef(**value) if _is_reference(value) else value for name, value in options.items()}


def _is_reference(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and value.keys() <= SecretRef.model_fields.keys()


class DrainSettings(Section):
    """``[drain]``: how long each step may take, and what is done with interactive work unless a run says otherwise."""

    interactive: Literal["ask", "evict", "refuse"] = "ask"
    eviction_minutes: PositiveFloat | None = None
    """None: the longest grace period on the node, and a margin."""
    off_minutes: PositiveFloat = 10
    back_minutes: PositiveFloat = 15
    gpu_minutes: PositiveFloat = 10
    stable_seconds: PositiveFloat = 120
    """For how long a node that failed must be steadily Ready before it gets work again."""
    takeover_minutes: PositiveFloat = 10
    """For how long the pods of a Run:ai system node may look for another place."""
    approval_hours: PositiveFloat = 72
    notice_minutes: float | None = Field(default=None, ge=0, le=1440)
    """For how long interactive work is left to its owners after they were told. None: 15 with [notify], else 0."""
    wait_minutes: PositiveFloat = 60
    """For how long the owner of a workload that is waited for may take before the person is asked again."""
    return_hours: PositiveFloat = 336
    service_namespaces: list[str] = []
    """More namespaces that hold parts of the cluster and no researcher's work."""


class RemovalSettings(Section):
    """``[removal]``: how long the steps of a permanent removal take."""

    reset_seconds: float = Field(default=180, ge=10, le=1800)
    """How long ``kubeadm reset`` may take on a machine."""
    away_seconds: float = Field(default=60, ge=1, le=3600)
    """For how long a Node that was deleted is seen to stay away."""


class ChecksSettings(Section):
    """``[checks]``: what is looked at before a node with GPUs gets work again, beyond how many can be allocated.

    Each can be switched off by ``false``. Where ``host`` is ``auto``, what is looked at on the machine itself is left
    out, and said to be, where it has no ``nvidia-smi``.
    """

    host: Literal["auto", "always", "never"] = "auto"
    """Whether the machine is looked at over SSH; always: one without ``nvidia-smi`` stays out of service."""
    nvidia_smi: Argv = ["nvidia-smi"]
    """The command. Of a driver in a container: ["sudo", "-n", "chroot", "/run/nvidia/driver", "nvidia-smi"]."""
    host_seconds: PositiveFloat = 60
    """Seconds for one command on the machine: one that waits for a broken GPU may never end."""
    gpu_count: bool = True
    """``nvidia-smi`` lists as many GPUs as before."""
    driver: bool = True
    """``nvidia-smi`` works: no other version of the driver's library than of its kernel module."""
    xid: bool = True
    """No Xid error in the kernel log since the machine was started; reads the log as root."""
    xid_ignored: list[int] = list(OF_PROGRAMS)
    """Numbers of Xid errors that do not count."""
    mig: bool = True
    """The label ``nvidia.com/mig.config.state`` says success, where there is one."""
    daemons: bool = True
    """The device plugin, the DaemonSets beside it and those of Run:ai have a Ready pod, where they had one."""
    daemons_also: list[Annotated[str, Field(max_length=320, pattern=r"^[^/\s]+/[^/\s]+$")]] = []
    """Further DaemonSets of which that is asked: namespace/name, where * and ? stand for any ("monitoring/dcgm-*")."""
    cordon: bool = True
    """A cordon that somebody takes off before all this was seen, whoever had set it, is set again."""
    smoke_pod: str = Field(default="", max_length=500, pattern=r"^\S*$")
    """An image: a pod of it that asks for one GPU must end well on the node. Empty: none is run."""
    smoke_command: list[str] = ["nvidia-smi"]
    """What it runs, as nobody (uid 65534); empty: what the image says."""
    smoke_runtime_class: str = Field(default="", max_length=253)
    """Its RuntimeClass, where containers get GPUs by one ("nvidia"); empty: none."""
    smoke_seconds: float = Field(default=180, ge=5, le=3600)
    """How long it may take, with the pull of its image."""

    @field_validator("nvidia_smi")
    @classmethod
    def _nvidia_smi(cls, argv: Argv) -> Argv:
        if not argv or not argv[0]:
            raise ValueError('give the program and its arguments as a list: ["nvidia-smi"]')
        return argv


class LimitsSettings(Limits):
    """``[limits]``: how many nodes may be down at once, of the cluster, of a kind, of a node pool."""


class Settings(BaseSettings):
    """The whole configuration. Make it with ``load()``: only that one turns errors into sentences."""

    model_config = SettingsConfigDict(
        env_prefix="DOWNTIME_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=False
    )

    cluster: ClusterSettings
    hosts: HostsSettings = HostsSettings()
    power: PowerSettings = PowerSettings()
    recovery: RecoverySettings = RecoverySettings()
    drain: DrainSettings = DrainSettings()
    removal: RemovalSettings = RemovalSettings()
    checks: ChecksSettings = ChecksSettings()
    limits: LimitsSettings = LimitsSettings()
    notify: NotifySettings = NotifySettings()
    runai: RunaiSettings | None = None
    """``[runai]``: the REST API of Run:ai; None: it is not used."""

    _source: Path = PrivateAttr(default=Path("downtime.toml"))

    @property
    def source(self) -> Path:
        """The file that it was read from, for messages."""
        return self._source

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (the names are pydantic-settings')
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Variables before the file, whose content is passed to the constructor; no .env files, no secrets folder."""
        return env_settings, init_settings


def load(path: Path | None = None) -> Settings:
    """Finds, reads and validates the configuration.

    Args:
        path: this file and no other; None: looked up (see the module).

    Raises:
        Misused: ``no-configuration`` or ``bad-configuration``.
    """
    from cluster import config_file

    return config_file.load(Settings, path)
