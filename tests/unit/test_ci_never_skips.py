"""A test that is skipped on CI's machine is a test that nobody runs."""

from __future__ import annotations

from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"

TESTS = {
    "in_the_body": "import pytest\ndef test_it(): pytest.skip('no podman here')\n",
    "by_a_mark": "import pytest\n@pytest.mark.skip(reason='no podman here')\ndef test_it(): pass\n",
    "in_a_fixture": (
        "import pytest\n@pytest.fixture\ndef lab(): pytest.skip('no podman here')\ndef test_it(lab): pass\n"
    ),
    "a_whole_module": "import pytest\npytest.skip('no podman here', allow_module_level=True)\n",
}


@pytest.fixture
def inner(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeconftest(CONFTEST.read_text())
    return pytester


@pytest.mark.parametrize("where", TESTS)
def test_a_skip_fails_in_ci_and_says_why(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("CI", "true")
    inner.makepyfile(TESTS[where])
    result = inner.runpytest_subprocess()
    assert result.ret != 0
    result.stdout.fnmatch_lines("*Nothing may be skipped in CI. *no podman here*")


@pytest.mark.parametrize("ci", ["", "false"])
def test_a_skip_stays_a_skip_at_home(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str) -> None:
    monkeypatch.setenv("CI", ci)
    inner.makepyfile(TESTS["in_the_body"])
    inner.runpytest_subprocess().assert_outcomes(skipped=1)


def test_an_expected_failure_is_not_a_skip(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    inner.makepyfile("import pytest\n@pytest.mark.xfail(strict=True)\ndef test_it(): assert False\n")
    result = inner.runpytest_subprocess()
    assert result.ret == 0
    result.assert_outcomes(xfailed=1)
