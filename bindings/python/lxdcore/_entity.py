# SPDX-License-Identifier: Apache-2.0
"""What everything that a server has is made of."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Dict, Generic, Iterator, List, Mapping, Optional, Protocol, TypeVar, Union

if TYPE_CHECKING:
    from ._connection import Connection

Config = Dict[str, str]
Devices = Dict[str, Dict[str, str]]
#: A path on this host.
LocalPath = Union[str, "os.PathLike[str]"]


def text_map(config: Optional[Mapping[str, Any]]) -> Config:
    """Configuration as the API has it: True is "true", 5 is "5"."""
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in (config or {}).items()}


def device_map(devices: Optional[Mapping[str, Mapping[str, Any]]]) -> Devices:
    """The same for devices."""
    return {name: text_map(device) for name, device in (devices or {}).items()}


class Entity:
    """Something that the server has; `data` is how it was when it was read. Two are equal when they mean the same."""

    _key = "name"

    def __init__(self, connection: Connection, data: Dict[str, Any], project: str = "default"):
        self._connection = connection
        self._project = project
        self.data = data

    def _text(self, key: str) -> str:
        return str(self.data.get(key) or "")

    @property
    def name(self) -> str:
        """What it is called."""
        return self._text("name")

    @property
    def description(self) -> str:
        """For people."""
        return self._text("description")

    @property
    def config(self) -> Config:
        """Its own configuration."""
        return dict(self.data.get("config") or {})

    @property
    def used_by(self) -> List[str]:
        """Paths of what uses it."""
        return list(self.data.get("used_by") or [])

    @property
    def project(self) -> str:
        """The project that it was read from."""
        return self._project

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Entity) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[Any, ...]:
        return (id(self._connection._raw), self._project, self.data.get(self._key))

    def __repr__(self) -> str:
        return f"<lxdcore.{type(self).__name__} {self.data.get(self._key)}>"


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str: ...


_Entry = TypeVar("_Entry", bound=Named)


class Collection(Generic[_Entry]):
    """What can be listed: iterable, and `in` takes a name or one of its objects."""

    def list(self) -> List[_Entry]:
        """All of them."""
        raise NotImplementedError

    def names(self) -> List[str]:
        """Their names."""
        return [entry.name for entry in self.list()]

    def __iter__(self) -> Iterator[_Entry]:
        return iter(self.list())

    def __contains__(self, what: object) -> bool:
        return what in self.names() if isinstance(what, str) else what in self.list()
