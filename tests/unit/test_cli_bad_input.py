"""Bad input: one clear sentence with a remedy, the right exit code, no traceback, nothing changed."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

from cluster.errors import Blocked, Misused
from deployments.choices import Output
from deployments.ending import Ending, ending, show
from tests.command_line import arguments, downtime, environment, in_this_process
from tests.unit.test_cli_is_quick import unreachable


@pytest.mark.parametrize(
    "words",
    [
        ("dance",),
        ("plan",),
        ("plan", "dance", "gpu-1"),
        ("run", "planned"),
        ("run", "planned", "gpu-1", "--interactive", "perhaps"),
        ("run", "planned", "gpu-1", "--eviction-minutes", "0"),
        ("decide", "gpu-1", "--interactive", "ask"),
        ("schema", "dance"),
        ("status", "--output", "xml"),
        ("status", "a", "b"),
    ],
)
def test_wrong_usage_is_exit_2(words: tuple[str, ...]) -> None:
    ended = in_this_process(*words)
    assert ended.code == 2
    assert not ended.out


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "planned"),
        ("run", "planned", "--yes"),
        ("resume",),
        ("abort",),
        ("status",),
        ("decide", "--interactive", "evict"),
        ("doctor", "--node"),
    ],
)
@pytest.mark.parametrize("name", ["GPU_1", "gpu-1;reboot", "../nodes", "gpu-1\n"])
def test_what_cannot_be_a_node_is_refused_before_anything_is_opened(words: tuple[str, ...], name: str) -> None:
    error = in_this_process(*words, name, "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("bad-node-name", 2)


def test_missing_configuration_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DOWNTIME_CONFIG", raising=False)
    for words in (("plan", "planned", "gpu-1"), ("status",), ("doctor",), ("serve",), ("resume", "gpu-1")):
        error = in_this_process(*words, "--output", "json").error
        assert (error["code"], error["exit_code"]) == ("no-configuration", 2)
        assert "downtime.toml" in error["message"]
        assert error["changed"] == []
    named = in_this_process("status", "--config", "other.toml")
    assert named.code == 2
    assert "other.toml does not exist" in named.err


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('[cluster]\nuid = "u"\nkubeconfig = [\n', ", line "),
        ('[cluster]\nuid = "u"\n\n[drain]\ninteractiv = "ask"\n', "line 5: drain.interactiv: unknown key"),
        ('[cluster]\nuid = "u"\n[drain]\ninteractive = "perhaps"\n', "line 4: drain.interactive"),
        ("[hosts]\n", "cluster"),
    ],
)
def test_bad_configuration_names_file_line_and_key(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "downtime.toml").write_text(text)
    ended = downtime(tmp_path, "status")
    assert ended.code == 2
    assert "downtime.toml" in ended.err
    assert where in ended.err
    assert "What to do: " in ended.err
    assert not ended.out


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "planned", "gpu-1"),
        ("run", "planned", "gpu-1", "--yes", "--local"),
        ("run", "planned", "gpu-1", "--yes"),
        ("resume", "gpu-1"),
        ("abort", "gpu-1", "--local"),
        ("status",),
        ("decide", "gpu-1", "--interactive", "evict"),
    ],
)
def test_unreachable_api_is_exit_3_and_soon(tmp_path: Path, words: tuple[str, ...]) -> None:
    unreachable(tmp_path)
    error = downtime(tmp_path, *words, "--output", "json", timeout=30).error
    assert (error["code"], error["exit_code"]) == ("api-unreachable", 3)
    assert "127.0.0.1:9" in error["message"]
    # What only looks has changed nothing; what an earlier command changed can't be said while nobody can be asked.
    assert error["changed"] == ([] if words[0] in ("plan", "status") else None)


def test_doctor_says_what_it_could_not_check(tmp_path: Path) -> None:
    unreachable(tmp_path)
    ended = downtime(tmp_path, "doctor", "--output", "json")
    assert ended.code == 3
    assert not ended.document["passed"]
    levels = {line["check"]: line["level"] for line in ended.document["lines"]}
    assert levels == {"configuration": "PASS", "api": "FAILED", "the rest": "WARN", "prefect": "WARN"}


def test_plan_that_nobody_confirms_is_not_run(tmp_path: Path) -> None:
    unreachable(tmp_path)
    ended = downtime(tmp_path, "run", "planned", "gpu-1", "--local")
    assert ended.code == 2
    assert "--yes" in ended.err


def test_node_named_twice_is_refused(tmp_path: Path) -> None:
    unreachable(tmp_path)
    error = downtime(tmp_path, "run", "planned", "a", "b", "a", "--yes", "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("node-twice", 2)


def test_decision_without_an_answer_is_refused(tmp_path: Path) -> None:
    assert downtime(tmp_path, "decide", "gpu-1", "--output", "json").error["code"] == "nothing-decided"


def test_unusable_kubeconfig_is_a_wrong_configuration(tmp_path: Path) -> None:
    (tmp_path / "downtime.toml").write_text('[cluster]\nuid = "u"\nkubeconfig = "missing"\n')
    error = downtime(tmp_path, "status", "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("kubeconfig", 2)


def test_error_for_people_says_what_happened_what_stands_and_what_to_do(tmp_path: Path) -> None:
    unreachable(tmp_path)
    ended = downtime(tmp_path, "status")
    lines = ended.err.splitlines()
    assert lines[0].endswith("cannot be reached: connection refused.")
    assert lines[1:] == [
        "Nothing was changed.",
        "What to do: Check the network and the control plane; then run the same command again.",
    ]


def test_what_earlier_commands_changed_is_called_unknown_while_the_cluster_cannot_be_asked(tmp_path: Path) -> None:
    unreachable(tmp_path)
    lines = downtime(tmp_path, "resume", "gpu-1").err.splitlines()
    assert lines[1] == (
        "This command changed nothing. What earlier ones changed on gpu-1 is not known now: the cluster could not "
        "be asked. It is in the record there; 'downtime status gpu-1' shows it."
    )


@pytest.mark.parametrize(
    ("stands", "begun", "says"),
    [
        ((), False, "Nothing was changed."),
        (("cordon",), True, "Changed and still standing: cordon."),
        (None, True, "What this command and earlier ones changed on gpu-1 is not known now"),
        (None, False, "This command changed nothing."),
    ],
)
def test_end_says_what_stands_as_far_as_it_is_known(
    stands: tuple[str, ...] | None, begun: bool, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    end = Ending(Output.text)
    end.about("gpu-1", lambda: stands)
    end.begun = begun
    assert show(Blocked("api-busy", "The API server cannot answer now", "Try again."), end) == 3
    assert capsys.readouterr().err.splitlines()[1].startswith(says)


def test_wrong_usage_changed_nothing_even_if_nobody_can_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    end = Ending(Output.json)
    end.about("gpu-1")
    assert show(Misused("wrong-cluster", "It is another one", "Look."), end) == 2
    assert json.loads(capsys.readouterr().out)["error"]["changed"] == []


def test_serving_needs_a_server(tmp_path: Path) -> None:
    unreachable(tmp_path)
    error = downtime(tmp_path, "serve", "--output", "json").error
    assert (error["code"], error["exit_code"]) == ("no-prefect-server", 2)


def test_what_nobody_thought_of_is_one_sentence_and_a_file_for_this_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(typer.Exit) as end, ending(Output.json):
        raise ZeroDivisionError("what nobody thought of")
    assert end.value.exit_code == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "unexpected"
    (written,) = (tmp_path / "runai-downtime").iterdir()
    assert str(written) in error["remedy"]
    assert "what nobody thought of" in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600


def test_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    argv = shlex.join(arguments("schema", "status"))
    done = subprocess.run(
        ["bash", "-c", f"{argv} | head -c 1"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("{", "")
