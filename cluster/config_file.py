"""Reads the configuration file, and says what is wrong with it: file, line, key, remedy; never a value.

Values are left out of every message, since nobody can tell which of them are secret. Lines are found by a small scan
of the text, as ``tomllib`` does not keep them.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_settings import SettingsError

from cluster.config import Settings
from cluster.config_paths import relative_to
from cluster.errors import Misused

VARIABLE = "DOWNTIME_CONFIG"
HERE = Path("downtime.toml")
SYSTEM = Path("/etc/downtime/downtime.toml")

_REMEDY = "Correct it; 'downtime schema config' prints what may stand there."


def find(path: Path | None) -> Path:
    """The file to read.

    Raises:
        Misused: ``no-configuration``.
    """
    if path is None and (named := os.environ.get(VARIABLE)):
        path = Path(named)
    if path is not None:
        path = path.expanduser()
        if path.is_file():
            return path.absolute()
        raise Misused(
            "no-configuration",
            f"The configuration file {path} does not exist",
            f"Write it, or correct the path (the variable {VARIABLE} names it).",
        )
    for place in (HERE, SYSTEM):
        if place.is_file():
            return place.absolute()
    raise Misused(
        "no-configuration",
        f"There is no configuration: neither the variable {VARIABLE}, nor {HERE} in this folder, nor {SYSTEM}",
        f"Write one of the two files, or let {VARIABLE} name yours; the README shows an example.",
    )


def load(model: type[Settings], path: Path | None) -> Settings:
    """See ``cluster.config.load``."""
    source = find(path)
    text, data = _parsed(source)
    _refuse_unknown_variables(model)
    try:
        with relative_to(source.parent):
            settings = model(**data)
    except ValidationError as error:
        raise _invalid(model, source, text, error) from None
    except SettingsError as error:
        field = re.search(r'field "([^"]+)"', str(error))
        name = f"DOWNTIME_{field.group(1).upper()}" if field else "a DOWNTIME_ variable"
        raise Misused(
            "bad-configuration",
            f"The variable {name} (or one that begins with it) is not valid JSON",
            'Lists and tables are written in JSON in variables, for example \'["power", "{node}"]\'.',
        ) from None
    settings._source = source
    return settings


def _parsed(source: Path) -> tuple[str, dict[str, Any]]:
    text = ""
    try:
        text = source.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Misused(
            "bad-configuration", f"{source} cannot be read: {why}", "Let the user of this command read it."
        ) from None
    except UnicodeDecodeError:
        raise Misused("bad-configuration", f"{source} is not UTF-8 text", "Save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"line (\d+), column (\d+)", str(error))
        line = int(where.group(1)) if where else len(text.splitlines()) or 1
        # tomllib quotes a repeated key, but never a value.
        why = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise Misused(
            "bad-configuration",
            f"{source}, line {line}: not valid TOML: {why}",
            'Texts and paths stand in quotes: key = "value"; tables begin with [section].',
        ) from None


def _refuse_unknown_variables(model: type[Settings]) -> None:
    sections = {name.upper() for name in model.model_fields}
    for name in sorted(os.environ):
        if name.upper().startswith("DOWNTIME_") and name != VARIABLE:
            section = name.upper().removeprefix("DOWNTIME_").partition("__")[0]
            if section not in sections:
                raise Misused(
                    "bad-configuration",
                    f"The variable {name} means nothing: variables are called DOWNTIME_SECTION__KEY"
                    + _suggestion(section, sections),
                    f"Unset it, or correct its name; the sections are {', '.join(sorted(sections))}.",
                )


def _invalid(model: type[Settings], source: Path, text: str, error: ValidationError) -> Misused:
    sentences = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        keys = tuple(str(part) for part in detail["loc"] if isinstance(part, str))
        why = _why(model, keys, str(detail["type"]), str(detail["msg"]))
        sentences.append(f"{_place(source, text, keys)}: {'.'.join(keys) or 'the file'}: {why}")
    return Misused("bad-configuration", "; ".join(dict.fromkeys(sentences)), _remedy(error))


def _why(model: type[Settings], keys: tuple[str, ...], kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown key" + _suggestion(keys[-1], set(_known(model, keys[:-1])))
    if kind == "missing":
        return "missing"
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _remedy(error: ValidationError) -> str:
    if any(detail["loc"][-1:] == ("uid",) or detail["loc"] == ("cluster",) for detail in error.errors()):
        return "The uid is what \"kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'\" prints."
    return _REMEDY


def _known(model: type[BaseModel], keys: tuple[str, ...]) -> list[str]:
    """The keys that may stand in the table that ``keys`` lead to."""
    for key in keys:
        field = model.model_fields.get(key)
        # A section that may be left out is of a union with None.
        kinds = (field.annotation, *get_args(field.annotation)) if field is not None else ()
        found = next((one for one in kinds if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if found is None:
            return []
        model = found
    return list(model.model_fields)


def _suggestion(word: str, known: set[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _place(source: Path, text: str, keys: tuple[str, ...]) -> str:
    for depth in range(len(keys), 1, -1):
        name = "DOWNTIME_" + "__".join(keys[:depth]).upper()
        if name in (variable.upper() for variable in os.environ):
            return f"variable {name}"
    line = line_of(text, keys)
    return f"{source}, line {line}" if line else str(source)


def line_of(text: str, keys: tuple[str, ...]) -> int | None:
    """The line (from 1) of the longest beginning of ``keys`` that stands in the TOML text; None: none of it does."""
    best: tuple[int, int] | None = None
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            found = table = _keys(f"{stripped}\n") or table
        elif assignment := re.match(r"""((?:"[^"]*"|'[^']*'|[\w.\s-])+?)\s*=""", stripped):
            found = table + _keys(f"{assignment.group(1)} = 0")
        else:
            continue
        if found and found == keys[: len(found)] and len(found) > (best[0] if best else 0):
            best = (len(found), number)
    return best[1] if best else None


def _keys(toml: str) -> tuple[str, ...]:
    """The dotted keys of a document with one header or one assignment; () if it is none."""
    try:
        node: Any = tomllib.loads(toml)
    except tomllib.TOMLDecodeError:
        return ()
    keys: list[str] = []
    while isinstance(node, (dict, list)) and node:
        if isinstance(node, list):
            node = node[0]
            continue
        key, node = next(iter(node.items()))
        keys.append(key)
    return tuple(keys)
