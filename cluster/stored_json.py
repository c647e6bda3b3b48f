"""Reads a small JSON document of a backup set that tells its own schema: validated wholly before any of it is believed.

A key that this version does not know is ignored (a later writer may add some within a schema); a schema that it does
not know is refused, since its meaning may have changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from cluster.errors import Blocked

_Document = TypeVar("_Document", bound=BaseModel)


def parse(
    model: type[_Document],
    text: bytes,
    newest: int,
    damaged: Callable[[str], Blocked],
    newer: Callable[[int], Blocked],
) -> _Document:
    """The document in these bytes.

    Args:
        newest: the newest schema that this version knows.
        damaged: the error for one that does not hold what it should, given the reason.
        newer: the error for one of another schema, given that.

    Raises:
        Blocked: one of the two.
    """
    try:
        document = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise damaged(f"it is not JSON ({error})") from None
    if not isinstance(document, dict):
        raise damaged(f"it holds a {type(document).__name__}, not an object")
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise damaged("it does not say its schema")
    if schema > newest:
        raise newer(schema)
    try:
        return model.model_validate_json(text, strict=True)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
        place = ".".join(str(step) for step in problems[0]["loc"])
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise damaged(f"{place}: {problems[0]['msg']}{more}".removeprefix(": ")) from None
