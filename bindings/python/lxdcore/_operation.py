# SPDX-License-Identifier: Apache-2.0
"""Operations and events."""
from __future__ import annotations

import datetime
import os
import time
from typing import TYPE_CHECKING, Any, AsyncIterator, Callable, Dict, Generator, Iterable, Iterator, List, Optional

from . import _lxdcore

if TYPE_CHECKING:
    from ._connection import Connection

#: Called with a name such as "unpack" or "download" and a text such as "12% (4.1MB/s)".
ProgressCallback = Callable[[str, str], None]


def parse_time(text: Optional[str]) -> Optional[datetime.datetime]:
    """A moment of the API; its zero ("never") is None."""
    if not text or text.startswith("0001-"):
        return None
    head, _, rest = text.rstrip("Z").partition(".")
    digits = rest
    zone = "+00:00"
    for sign in "+-":
        if sign in rest:
            digits, _, offset = rest.partition(sign)
            zone = sign + offset
    if not rest and len(head) > 19:
        head, zone = head[:19], head[19:]
    return datetime.datetime.fromisoformat(f"{head}.{(digits + '000000')[:6]}{zone}")


def format_time(moment: Optional[datetime.datetime]) -> str:
    """The other way: None is its zero. A time without a zone is that of this host."""
    if moment is None:
        return "0001-01-01T00:00:00Z"
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Event:
    """Something that happened."""

    __slots__ = ("data",)

    def __init__(self, data: Dict[str, Any]):
        self.data = data

    @property
    def type(self) -> str:
        """lifecycle, operation or logging."""
        return str(self.data.get("type", ""))

    @property
    def timestamp(self) -> Optional[datetime.datetime]:
        """When."""
        return parse_time(self.data.get("timestamp"))

    @property
    def project(self) -> str:
        """The project that it concerns, or ''."""
        return str(self.data.get("project", ""))

    @property
    def metadata(self) -> Dict[str, Any]:
        """What the type says: action and source, an operation, or a line of the log."""
        return dict(self.data.get("metadata") or {})

    @property
    def action(self) -> str:
        """Of a lifecycle event, such as "instance-started"; else ''."""
        return str(self.metadata.get("action", ""))

    @property
    def source(self) -> str:
        """Of a lifecycle event, such as "/1.0/instances/c1"; else ''."""
        return str(self.metadata.get("source", ""))

    def __repr__(self) -> str:
        return f"<lxdcore.Event {self.type} {self.action or self.metadata.get('status', '')}>"


class Events:
    """A stream of events, from the moment on in which it was opened. An iterator, also in asyncio; close it at the end,
    or use it with `with`. Iterating ends when it, or its connection, is closed; a server that goes away is an
    UnavailableError."""

    def __init__(self, connection: Connection, raw: _lxdcore.EventStream):
        self._connection = connection
        self._raw = raw

    def get(self, timeout: Optional[float] = None) -> Optional[Event]:
        """The next event; None when `timeout` seconds have passed. Raises UnavailableError when there will be none."""
        data = self._raw.next(timeout)
        return None if data is None else Event(data)

    def fileno(self) -> int:
        """Readable while there is something to get, for select() and the like."""
        return self._raw.fileno()

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._raw.closed

    def interrupt(self) -> None:
        """Makes a waiting get() return None, from any thread."""
        self._raw.interrupt()

    def close(self) -> None:
        """No more events."""
        self._raw.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Event]:
        while not self._raw.closed:
            try:
                event = self.get()
            except _lxdcore.BadStateError:  # closed by another thread
                return
            except _lxdcore.UnavailableError:
                if self._connection.closed:
                    return
                raise
            if event is not None:
                yield event

    async def __aiter__(self) -> AsyncIterator[Event]:
        from . import _aio

        while not self._raw.closed:
            await _aio.readable(self._raw.fileno())
            try:
                event = None if self._raw.closed else self.get(0)
            except _lxdcore.UnavailableError:
                if self._connection.closed:
                    return
                raise
            if event is not None:
                yield event


class Operation:
    """Work that takes time. `result()` or `await` give its metadata, or raise its failure."""

    def __init__(self, connection: Connection, raw: _lxdcore.Operation,
                 convert: Optional[Callable[[Dict[str, Any]], Any]] = None):
        self._connection = connection
        self._raw = raw
        self._convert = convert

    @property
    def id(self) -> str:
        """A UUID."""
        return self._raw.id

    @property
    def status(self) -> str:
        """Pending, Running, Cancelling, Success, Failure or Cancelled."""
        return self._raw.status

    @property
    def error(self) -> str:
        """The text of its failure, or ''."""
        return self._raw.error

    @property
    def description(self) -> str:
        """What it does, in words."""
        return str(self.to_dict().get("description", ""))

    @property
    def metadata(self) -> Dict[str, Any]:
        """What it tells about itself, progress too."""
        return dict(self.to_dict().get("metadata") or {})

    def to_dict(self) -> Dict[str, Any]:
        """As the REST API shows it."""
        return self._raw.to_dict()

    def done(self) -> bool:
        """True once it has ended, in whatever way."""
        return self._raw.wait(0)

    def wait(self, timeout: Optional[float] = None, *, progress: Optional[ProgressCallback] = None) -> bool:
        """Waits for the end, at most `timeout` seconds; False when the time ran out. Meanwhile `progress` is called, in
        this thread."""
        if progress is None:
            return self._raw.wait(timeout)
        return self._wait_with_progress(timeout, progress)

    def result(self, timeout: Optional[float] = None, *, progress: Optional[ProgressCallback] = None) -> Any:
        """Waits for the end. Returns what the call that began it promises, else the metadata as a dict; raises its
        failure, or TimeoutError."""
        if not self.wait(timeout, progress=progress):
            raise TimeoutError(f"operation {self.id} is still running")
        return self._outcome()

    def cancel(self) -> None:
        """Asks it to stop. Raises an Error if it cannot be cancelled."""
        self._raw.cancel()

    def __await__(self) -> Generator[Any, None, Any]:
        return self.result_async().__await__()

    def __repr__(self) -> str:
        return f"<lxdcore.Operation {self.id}>"

    async def ended(self) -> None:
        """For asyncio: waits for the end, in whatever way, and raises nothing."""
        from . import _aio

        await _aio.ended(self._raw.end_descriptor())

    async def result_async(self, *, progress: Optional[ProgressCallback] = None) -> Any:
        """result() for asyncio. `await operation` is the same without `progress`."""
        from . import _aio

        if progress is not None:
            await self._ended_with_progress(progress)
        else:
            await self.ended()
        return await _aio.in_thread(self._outcome)  # what was promised may have to be asked for

    async def _ended_with_progress(self, progress: ProgressCallback) -> None:
        from . import _aio

        told: Dict[str, str] = {}
        with await _aio.in_thread(self._events) as events:
            self._tell(await _aio.in_thread(lambda: self.metadata), told, progress)
            end = self._raw.end_descriptor()
            try:
                while not self._raw.wait(0):
                    await _aio.readable(end, events.fileno())
                    self._tell_waiting(events, told, progress)
            finally:
                os.close(end)
            self._tell_waiting(events, told, progress)

    def _outcome(self) -> Any:
        metadata = self._raw.result()
        return metadata if self._convert is None else self._convert(metadata)

    def _wait_with_progress(self, timeout: Optional[float], progress: ProgressCallback) -> bool:
        end = None if timeout is None else time.monotonic() + timeout
        told: Dict[str, str] = {}
        with self._events() as events:
            self._tell(self.metadata, told, progress)
            while not self._raw.wait(0):
                left = 0.2 if end is None else min(0.2, end - time.monotonic())
                if left < 0:
                    return False
                event = events.get(left)
                if event is not None:
                    self._tell_event(event, told, progress)
            self._tell_waiting(events, told, progress)
        return True

    def _events(self) -> Events:
        return self._connection.events(types=["operation"], all_projects=True)

    def _tell_waiting(self, events: Events, told: Dict[str, str], progress: ProgressCallback) -> None:
        while (event := events.get(0)) is not None:
            self._tell_event(event, told, progress)

    def _tell_event(self, event: Event, told: Dict[str, str], progress: ProgressCallback) -> None:
        if event.metadata.get("id") == self.id:
            self._tell(event.metadata.get("metadata") or {}, told, progress)

    @staticmethod
    def _tell(metadata: Dict[str, Any], told: Dict[str, str], progress: ProgressCallback) -> None:
        for key, text in metadata.items():
            if key.endswith("_progress") and told.get(key) != text:
                told[key] = text
                what, _, amount = str(text).partition(": ")
                progress(what.lower() if amount else key[:-len("_progress")], amount or str(text))


def wait_all(operations: Iterable[Operation]) -> List[Any]:
    """The results of several operations; all are waited for before the first failure is raised."""
    waiting = list(operations)
    for operation in waiting:
        operation.wait()
    return [operation.result() for operation in waiting]
