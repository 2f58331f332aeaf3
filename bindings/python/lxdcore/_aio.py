# SPDX-License-Identifier: Apache-2.0
"""What the others need of asyncio; imported when it is needed only, because that takes longer than all the rest."""
from __future__ import annotations

import asyncio
import os
from typing import Any, Callable, TypeVar

T = TypeVar("T")


async def readable(*fds: int) -> None:
    """Waits until one of the descriptors can be read."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def ready() -> None:
        if not future.done():
            future.set_result(None)

    for fd in fds:
        loop.add_reader(fd, ready)
    try:
        await future
    finally:
        for fd in fds:
            loop.remove_reader(fd)


async def ended(fd: int) -> None:
    """Waits for the end of what the descriptor stands for, and closes it."""
    try:
        await readable(fd)
    finally:
        os.close(fd)


async def in_thread(call: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """A call that waits, without the loop waiting."""
    return await asyncio.to_thread(call, *args, **kwargs)
