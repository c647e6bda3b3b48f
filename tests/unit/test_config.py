"""The configuration: found, read, and where it is wrong refused with file, line, key and remedy, never with a value."""

from __future__ import annotations

import contextlib
import os
import pickle
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.config import Settings, load
from cluster.config_file import line_of
from cluster.errors import Misused

MINIMAL = '[cluster]\nuid = "u"\n'
FULL = """\
[cluster]
kubeconfig = "kubeconfig"
uid = "2b6e"
lock_seconds = 3
depends_on = ["prefect/app=prefect-server"]
[hosts]
user = "ops"
key_file = "~/keys/id_ed25519"
known_hosts = "/srv/known_hosts"
sudo_password = { secret = "runai-downtime/sudo", key = "password" }
[hosts.addresses]
gpu-1 = "10.90.0.21"
"gpu-2.example" = "10.90.0.22:2222"
[power]
off = "ssh"
on = "command"
status = "command"
[power.command]
on = ["./power", "{node}", "on"]
status = ["power", "{node}", "{address}", "status"]
[recovery]
store = "backups"
max_age_hours = 12
storage_options = { secret = { env = "STORE_SECRET" }, anon = false, client_kwargs = { endpoint_url = "http://s3" } }
[drain]
eviction_minutes = 30
[limits]
[notify]
urls = [{ file = "apprise-urls" }, { secret = "runai-downtime/notify", key = "urls" }]
blocks = ["slack-webhook/ops"]
"""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("DOWNTIME_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "conf" / "downtime.toml"
    path.parent.mkdir()
    return path


def refused(file: Path, text: str | bytes) -> Misused:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Misused) as caught:
        load(file)
    assert caught.value.code == "bad-configuration"
    assert caught.value.exit_code == 2
    assert caught.value.remedy
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_full_file_is_read_and_paths_belong_to_its_folder(file: Path, tmp_path: Path) -> None:
    file.write_text(FULL)
    settings = load(file)
    assert settings.source == file
    assert settings.cluster.kubeconfig == file.parent / "kubeconfig"
    assert settings.hosts.key_file == tmp_path / "home" / "keys" / "id_ed25519"
    assert settings.hosts.known_hosts == Path("/srv/known_hosts")
    assert settings.power.command.on == [str(file.parent / "power"), "{node}", "on"]
    assert settings.power.command.status is not None
    assert settings.power.command.status[0] == "power"
    assert settings.recovery.store == str(file.parent / "backups")
    assert (settings.cluster.lock_seconds, settings.recovery.max_age_hours) == (3, 12)
    assert settings.recovery.storage_options["anon"] is False
    assert str(settings.recovery.storage_options["secret"]) == "variable STORE_SECRET"
    assert settings.recovery.storage_options["client_kwargs"] == {"endpoint_url": "http://s3"}
    assert settings.notify.urls[0].file == file.parent / "apprise-urls"
    assert (settings.notify.any, settings.notify.blocks) == (True, ["slack-webhook/ops"])
    assert str(settings.hosts.sudo_password) == "key password of Secret runai-downtime/sudo"


def test_what_is_left_out_has_its_default(file: Path) -> None:
    file.write_text(MINIMAL)
    settings = load(file)
    assert (settings.power.off, settings.power.on, settings.power.status) == ("ssh", "person", "none")
    assert (settings.cluster.lock_seconds, settings.cluster.request_timeout) == (15, 10)
    assert (settings.drain.approval_hours, settings.drain.return_hours) == (72, 336)
    assert settings.drain.eviction_minutes is None
    assert settings.recovery.max_age_hours == 30
    assert settings.hosts.user is None


@pytest.mark.parametrize("line", ['urls = ["json://hooks.example.org/T0ken"]', 'blocks = ["ops"]'])
def test_urls_of_notifiers_are_references_and_blocks_are_named_with_their_type(file: Path, line: str) -> None:
    assert "T0ken" not in str(refused(file, f"{MINIMAL}[notify]\n{line}\n"))


@pytest.mark.parametrize("store", ["file:///srv/backups", "s3://bucket/backups", ""])
def test_a_store_that_is_a_url_or_none_is_left_alone(file: Path, store: str) -> None:
    file.write_text(f'{MINIMAL}[recovery]\nstore = "{store}"\n')
    assert load(file).recovery.store == store


def test_it_survives_a_pickle(file: Path) -> None:
    """Prefect hands it to other processes."""
    file.write_text(FULL)
    settings = load(file)
    again = pickle.loads(pickle.dumps(settings))  # noqa: S301
    assert (again, again.source) == (settings, settings.source)


# Where it is looked for


def test_the_variable_comes_before_the_current_folder(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(MINIMAL)
    (tmp_path / "downtime.toml").write_text('[cluster]\nuid = "here"\n')
    assert load().cluster.uid == "here"
    monkeypatch.setenv("DOWNTIME_CONFIG", str(file))
    assert load().cluster.uid == "u"
    assert load(tmp_path / "downtime.toml").cluster.uid == "here"


def test_no_file_at_all_names_the_three_places() -> None:
    if Path("/etc/downtime/downtime.toml").exists():
        pytest.fail("this machine has a configuration of its own in /etc/downtime: the test needs one without")
    with pytest.raises(Misused) as caught:
        load()
    assert caught.value.code == "no-configuration"
    for place in ("DOWNTIME_CONFIG", "downtime.toml", "/etc/downtime/downtime.toml"):
        assert place in caught.value.message


def test_a_named_file_that_is_missing_is_never_replaced_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "downtime.toml").write_text(MINIMAL)
    monkeypatch.setenv("DOWNTIME_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(Misused, match=r"none\.toml does not exist") as caught:
        load()
    assert caught.value.code == "no-configuration"


# What is refused


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('[cluster]\nuid = "u"\nuuid = "x"\n', 3, "cluster.uuid: unknown key (did you mean uid?)"),
        ('[cluster]\nuid = "u"\n[host]\nuser = "x"\n', 3, "host: unknown key (did you mean hosts?)"),
        (f'{MINIMAL}[power]\noff = "shh"\n', 4, "power.off: input should be 'ssh', 'command' or 'redfish'"),
        (f'{MINIMAL}[power.command]\noff = ["power", "{{name}}"]\n', 4, "unknown placeholder {name}"),
        (f'{MINIMAL}[power.command]\noff = "power"\n', 4, "power.command.off"),
        (f"{MINIMAL}[power.command]\noff = []\n", 4, "as a list"),
        (f'{MINIMAL}[power]\non = "command"\n', 3, 'needs the argument list "on" in [power.command]'),
        (f'{MINIMAL}[hosts]\nsudo_password = "hunter2"\n', 4, '{ env = "VARIABLE" }'),
        (f'{MINIMAL}[hosts]\nsudo_password = {{ env = "A", file = "b" }}\n', 4, '{ env = "VARIABLE" }'),
        (f'{MINIMAL}[hosts]\nsudo_password = {{ secret = "a/b" }}\n', 4, '{ env = "VARIABLE" }'),
        (f'{MINIMAL}[hosts]\nsudo_password = {{ secret = "hunter2", key = "k" }}\n', 4, '{ env = "VARIABLE" }'),
        (f'{MINIMAL}[hosts]\nsudo_password = {{ value = "hunter2" }}\n', 4, "hosts.sudo_password.value: unknown key"),
        (f'{MINIMAL}[hosts]\nport = "hunter2"\n', 4, "hosts.port"),
        (f'{MINIMAL}[hosts.addresses]\n"GPU 1" = "10.0.0.1"\n', 3, "cannot be the name of a node"),
        (f'{MINIMAL}[hosts.addresses]\ngpu-1 = "ops:hunter2@10.0.0.1"\n', 3, "the address of gpu-1"),
        (f"{MINIMAL}lock_seconds = 0\n", 3, "cluster.lock_seconds: input should be greater than or equal to 1"),
        (f'{MINIMAL}depends_on = ["prefect"]\n', 3, '"NAMESPACE/LABEL-SELECTOR"'),
        (f"{MINIMAL}[recovery]\nmax_age_hours = 0\n", 4, "recovery.max_age_hours"),
        (f'{MINIMAL}[recovery]\nstore = "s3://me:hunter2@bucket"\n', 4, "no password in the URL"),
        (f'{MINIMAL}[recovery.storage_options]\nsecret = "hunter2"\n', 3, "secret: a secret is never written here"),
        (f'{MINIMAL}[recovery.storage_options]\naccount_key = "hunter2"\n', 3, "never written here"),
        (f'{MINIMAL}[limits]\nnodes = 3\n', 4, "limits.nodes: unknown key"),
        ("[cluster]\nlock_seconds = 3\n", 1, "cluster.uid: missing"),
        ('[cluster]\nuid = hunter2\n', 2, "not valid TOML"),
        ('[cluster]\nuid = "u\nlock_seconds = 3\n', 2, "not valid TOML"),
        ("[cluster\n", 1, "not valid TOML"),
        ('[cluster]\nuid = "u"\nuid = "hunter2"\n', 3, "not valid TOML"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_by_file_line_and_key_and_no_value_is_shown(
    file: Path, text: str, line: int, words: str
) -> None:
    error = refused(file, text)
    assert f"{file}, line {line}:" in error.message
    assert words in error.message
    assert "hunter2" not in str(error)


def test_all_mistakes_are_told_at_once(file: Path) -> None:
    error = refused(file, '[cluster]\nuid = "u"\nx = 1\n[hosts]\nport = 0\ny = 2\n')
    for line in (3, 5, 6):
        assert f"line {line}:" in error.message


def test_an_empty_file_says_what_is_missing_and_how_to_find_it(file: Path) -> None:
    error = refused(file, "")
    assert "cluster: missing" in error.message
    assert "kube-system" in error.remedy


def test_bytes_that_are_no_text_are_refused(file: Path) -> None:
    assert "UTF-8" in refused(file, b"\xff\xfe[cluster]").message


def test_a_folder_in_its_place_is_no_file(file: Path) -> None:
    file.mkdir()
    with pytest.raises(Misused) as caught:
        load(file)
    assert caught.value.code == "no-configuration"


@given(st.binary(max_size=200))
def test_no_content_makes_anything_but_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    file.write_bytes(content)
    with contextlib.suppress(Misused):
        load(file)


# Variables


def test_a_variable_comes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(FULL)
    monkeypatch.setenv("DOWNTIME_CLUSTER__UID", "other")
    monkeypatch.setenv("DOWNTIME_HOSTS__ADDRESSES", '{"gpu-1": "10.0.0.1"}')
    monkeypatch.setenv("DOWNTIME_POWER__COMMAND__ON", '["power", "{node}"]')
    settings = load(file)
    assert settings.cluster.uid == "other"
    assert settings.hosts.addresses["gpu-1"] == "10.0.0.1"
    assert settings.hosts.addresses["gpu-2.example"] == "10.90.0.22:2222"
    assert settings.power.command.on == ["power", "{node}"]
    assert settings.cluster.lock_seconds == 3


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DOWNTIME_CLUSTER__LOCK_SECONDS", "hunter2", "variable DOWNTIME_CLUSTER__LOCK_SECONDS: cluster.lock_seconds"),
        ("DOWNTIME_CLUSTER__UUID", "hunter2", "variable DOWNTIME_CLUSTER__UUID: cluster.uuid: unknown key"),
        ("DOWNTIME_CLUSTER_UID", "hunter2", "The variable DOWNTIME_CLUSTER_UID means nothing"),
        ("DOWNTIME_HOST__PORT", "hunter2", "(did you mean HOSTS?)"),
        ("DOWNTIME_HOSTS__ADDRESSES", "hunter2", "not valid JSON"),
        ("DOWNTIME_HOSTS__SUDO_PASSWORD", "hunter2", "DOWNTIME_HOSTS"),
        ("DOWNTIME_HOSTS__SUDO_PASSWORD", '"hunter2"', "variable DOWNTIME_HOSTS__SUDO_PASSWORD"),
    ],
)
def test_a_mistake_in_a_variable_names_the_variable_and_not_its_value(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    error = refused(file, MINIMAL)
    assert words in error.message
    assert "hunter2" not in str(error)
    assert "line" not in error.message


# Lines

KEY = st.text("abcdefg_-", min_size=1, max_size=6)


@given(st.dictionaries(KEY, st.dictionaries(KEY, st.integers(), min_size=1, max_size=4), min_size=1, max_size=4))
def test_every_key_of_a_document_is_found_in_its_line(document: dict[str, dict[str, int]]) -> None:
    lines: list[str] = []
    places: dict[tuple[str, ...], int] = {}
    for table, values in document.items():
        lines += ["", f"[{table}] # comment"]
        places[table,] = len(lines)
        for key, value in values.items():
            lines.append(f'"{key}" = {value}')
            places[table, key] = len(lines)
    text = "\n".join(lines)
    assert tomllib.loads(text) == document
    for keys, line in places.items():
        assert line_of(text, keys) == line
    assert line_of(text, ("nowhere",)) is None


def test_keys_of_inline_and_dotted_tables_are_found() -> None:
    text = 'power.off = "x"\n[power.command]\non = { a = 1 }\n[[list]]\nb = 1\n'
    assert line_of(text, ("power", "off")) == 1
    assert line_of(text, ("power", "command", "on", "a")) == 3
    assert line_of(text, ("list", "b")) == 5


def test_the_schema_can_be_printed() -> None:
    assert set(Settings.model_json_schema()["properties"]) >= {"cluster", "hosts", "power", "recovery", "drain"}


# Checks of the GPUs


def test_checks_can_be_configured_and_switched_off(file: Path) -> None:
    file.write_text(f'{MINIMAL}[checks]\nxid = false\nxid_ignored = [13, 94]\nnvidia_smi = ["/opt/nvidia-smi"]\n')
    checks = load(file).checks
    assert (checks.xid, checks.xid_ignored, checks.nvidia_smi) == (False, [13, 94], ["/opt/nvidia-smi"])
    assert (checks.host, checks.gpu_count, checks.driver, checks.mig, checks.daemons) == (
        "auto",
        True,
        True,
        True,
        True,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("xids = false", "checks.xids: unknown key (did you mean xid?)"),
        ("nvidia_smi = []", "as a list"),
        ('host = "sometimes"', "checks.host: input should be 'auto', 'always' or 'never'"),
    ],
)
def test_a_misspelt_check_is_refused(file: Path, text: str, words: str) -> None:
    assert words in refused(file, f"{MINIMAL}[checks]\n{text}\n").message
