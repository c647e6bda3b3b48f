"""Prefect's notification blocks, for those that the configuration names: their secrets never leave Prefect."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from inspect import isawaitable
from typing import Any

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from pydantic import Secret, SecretStr

from cluster import notifiers


@contextmanager
def sending() -> Iterator[None]:
    """Meanwhile, people can be told through blocks."""
    around = copy_context()

    def send(name: str, subject: str, body: str) -> None:
        # It is called in a thread of its own, which knows nothing of this run and its API.
        around.copy().run(_send, name, subject, body)

    token = notifiers.BLOCKS.set(send)
    try:
        yield
    finally:
        notifiers.BLOCKS.reset(token)


def _send(name: str, subject: str, body: str) -> None:
    try:
        block = Block.load(name)
    except ValueError as error:
        raise notifiers.NotTold(f"Prefect has no such block: {error}") from None
    if not isinstance(block, NotificationBlock):
        raise notifiers.NotTold("it is no notification block")
    for value in _secrets(block.model_dump()):
        notifiers.hide(value)
    with block.raise_on_failure():
        sent: Any = block.notify(body, subject)
        if isawaitable(sent):  # Prefect's own blocks have done it by now; those of others may be asynchronous only
            asyncio.run(_awaited(sent))


async def _awaited(sent: Awaitable[Any]) -> None:
    await sent


def _secrets(value: Any) -> Iterator[str]:
    """Secrets and addresses in a block: errors are told with them in it."""
    if isinstance(value, Secret | SecretStr):
        secret = value.get_secret_value()
        yield from [secret] if isinstance(secret, str) else _secrets(secret)
    elif isinstance(value, dict):
        for one in value.values():
            yield from [one] if isinstance(one, str) and "://" in one else _secrets(one)
