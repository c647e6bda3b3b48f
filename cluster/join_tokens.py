"""Finding a join token again, to delete it: by the description that it was created with. Pure.

The process that made a token may die before it deletes it. Neither the token nor its id is written down anywhere
(the id alone would do no harm, but is known only after the token exists), so the description names the node and the
record, and a token is found by it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from cluster.errors import Blocked, Misused
from cluster.join_command import TOKEN
from cluster.names import node_name

_BEGINNING = ("runai-downtime", "rejoin")


class Described(NamedTuple):
    """For whom a token was made."""

    node: str
    record: str


class OwnToken(NamedTuple):
    """A token of ours that exists: its public id, and for whom it was made. The secret half is not kept."""

    id: str
    node: str
    record: str


def description(node: str, record: str) -> str:
    """What a token for this rejoin is described as.

    Raises:
        Misused: the node's name cannot be one.
        ValueError: the record id has blanks in it, or is empty.
    """
    if record.split() != [record]:
        raise ValueError(f"{record!r} cannot be the id of a record")
    return " ".join((*_BEGINNING, node_name(node), record))


def described(text: str) -> Described | None:
    """For whom a token with this description was made; None: it is not ours."""
    words = text.split(" ")
    if len(words) != 4 or tuple(words[:2]) != _BEGINNING or words[3].split() != [words[3]]:
        return None
    try:
        return Described(node_name(words[2]), words[3])
    except Misused:
        return None


def own_tokens(stdout: str) -> tuple[OwnToken, ...]:
    """All tokens of ours in the output of ``kubeadm token list -o json``.

    That is one JSON object for each token, one after the other, not a list; nothing where there is none
    (``RunListTokens``, Kubernetes 1.34). A list, or an object with ``items``, is understood as well.

    Raises:
        Blocked: ``token-list``: it is something else. It is not repeated, since it holds the tokens themselves.
    """
    found = []
    for document in _documents(stdout):
        for one in _tokens(document):
            text = one.get("description")
            whose = described(text) if isinstance(text, str) else None
            if whose is not None:
                found.append(OwnToken(_id(one), whose.node, whose.record))
    return tuple(found)


def ids(stdout: str, node: str, record: str = "") -> tuple[str, ...]:
    """Ids of the tokens that were made for a node, of one record or (empty) of any. Raises as ``own_tokens``."""
    return tuple(one.id for one in own_tokens(stdout) if one.node == node and record in ("", one.record))


def _documents(text: str) -> Iterator[Any]:
    decoder, position = json.JSONDecoder(), 0
    while rest := text[position:].lstrip():
        position = len(text) - len(rest)
        try:
            document, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            # "from None": the error before holds the whole text, tokens included.
            raise _refused("something that is not JSON") from None
        yield document


def _tokens(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict) and isinstance(document.get("items"), list):
        document = document["items"]
    for one in document if isinstance(document, list) else [document]:
        if not isinstance(one, dict):
            raise _refused("JSON that is not a list of tokens")
        yield one


def _id(token: dict[str, Any]) -> str:
    match = TOKEN.fullmatch(str(token.get("token", "")))
    if match is None:
        raise _refused("a token of ours in a shape that is not known")
    return match[1]


def _refused(what: str) -> Blocked:
    return Blocked(
        "token-list",
        f"'kubeadm token list -o json' printed {what} (it is not shown: it may hold tokens)",
        "Run 'kubeadm token list' on the control-plane node; delete those that are described as 'runai-downtime "
        "rejoin …' with 'kubeadm token delete ID'.",
    )
