"""What may not be in the repository: it must work on any machine, and be read by people."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {".py", ".go", ".sh"}
PRODUCT = {"flows", "tasks", "cluster", "deployments"}

# Spelled in two halves, so that this file does not contain what it forbids.
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "proxy.golang" + ".org",
    "sum.golang" + ".org",
    "registry.npmjs" + ".org",
    "crates" + ".io",
    "deb.debian" + ".org",
    "snapshot.debian" + ".org",
    "pkg" + ".dev",
]
# A folder of one machine or person. `ops` is the administrator of the lab's hosts, the same everywhere.
MACHINE_PATHS = re.compile(r"(?<![\w.}/-])/(?:work\b|root/|home/(?!ops\b)[a-z]|Users/[a-z]|opt/wheels)")
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc", "base", "lib", "tools"}
FOREIGN_NAMES = {"kubernetes", "prefect", "fabric", "invoke", "paramiko", "types", "select", "secrets", "platform"}


def tracked() -> list[Path]:
    """The files under version control that are there (a deletion may not be committed yet)."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def lines() -> list[tuple[str, str]]:
    """Every line of every text file, with where it stands."""
    found = []
    for path in tracked():
        if path == Path(__file__):
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        found += [(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    return found


def test_something_is_tracked() -> None:
    names = {path.name for path in tracked()}
    assert {"pyproject.toml", "requirements.txt", "Makefile"} <= names


def test_no_package_registry_is_named() -> None:
    """Where packages come from is a matter of the machine's own set-up."""
    word = re.compile("|".join(rf"\b{re.escape(host)}" for host in REGISTRIES))
    assert not [f"{where}: {line.strip()[:100]}" for where, line in lines() if word.search(line)]


def test_no_path_of_one_machine() -> None:
    assert not [f"{where}: {line.strip()[:100]}" for where, line in lines() if MACHINE_PATHS.search(line)]


@pytest.mark.parametrize("line", ["cd /home/ann/downtime", "Path('/root/x')", f"see {'/work'}/main"])
def test_a_path_of_one_machine_would_be_seen(line: str) -> None:
    assert MACHINE_PATHS.search(line)


def test_no_file_with_a_name_that_says_nothing() -> None:
    vague = VAGUE_NAMES | FOREIGN_NAMES
    assert not [path for path in tracked() if path.suffix == ".py" and path.stem.lower() in vague]


def test_no_source_file_over_400_lines() -> None:
    sizes = {path: len(path.read_text().splitlines()) for path in tracked() if path.suffix in SOURCES}
    assert not {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 400}


def test_every_pin_has_a_hash() -> None:
    pins = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements.txt").read_text())
    assert len(pins) > 50
    assert not [pin.splitlines()[0] for pin in pins if "==" in pin and "--hash=sha256:" not in pin]


def test_the_lock_holds_the_build_backend_and_the_pins_that_matter() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    exact = [spec for spec in project["project"]["dependencies"] + project["build-system"]["requires"] if "==" in spec]
    assert "prefect==3.8.8" in exact
    lock = (ROOT / "requirements.txt").read_text().splitlines()
    assert not [spec for spec in exact if not any(line.split(" ")[0] == spec for line in lock)]


def test_only_the_product_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]} == PRODUCT


def test_every_product_folder_with_sources_is_a_package() -> None:
    """A folder without __init__.py is left out of the wheel in silence."""
    folders = {path.parent for path in tracked() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in PRODUCT}
    assert folders
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_served_modules_evaluate_their_annotations() -> None:
    """Prefect builds a deployment's form from real types; postponed annotations broke one served flow's schema."""
    served = [
        path for path in tracked() if path.relative_to(ROOT).parts[0] in {"flows", "tasks"} and path.suffix == ".py"
    ]
    assert not [path for path in served if "from __future__ import annotations" in path.read_text()]
