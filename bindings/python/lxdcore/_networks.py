# SPDX-License-Identifier: Apache-2.0
"""Networks."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from ._entity import Collection, Entity, text_map

if TYPE_CHECKING:
    from ._connection import Connection


class Lease:
    """An address that a network gave out."""

    __slots__ = ("data",)

    def __init__(self, data: Dict[str, Any]):
        self.data = data

    @property
    def hostname(self) -> str:
        """Who has it."""
        return str(self.data.get("hostname", ""))

    @property
    def address(self) -> str:
        """The address."""
        return str(self.data.get("address", ""))

    @property
    def hwaddr(self) -> str:
        """The MAC address."""
        return str(self.data.get("hwaddr", ""))

    @property
    def type(self) -> str:
        """static, dynamic or gateway."""
        return str(self.data.get("type", ""))

    def __repr__(self) -> str:
        return f"<lxdcore.Lease {self.address} {self.hostname}>"


class Network(Entity):
    """A network: a managed bridge, or a link that the host has besides."""

    @property
    def type(self) -> str:
        """bridge, physical, loopback, …"""
        return self._text("type")

    @property
    def managed(self) -> bool:
        """True when the server made it."""
        return bool(self.data.get("managed"))

    @property
    def status(self) -> str:
        """Created, or Unavailable."""
        return self._text("status")

    def refresh(self) -> Network:
        """Reads it again."""
        self.data = self._connection._raw.networks.get(self._project, self.name)
        return self

    def leases(self) -> List[Lease]:
        """Addresses that it gave out."""
        return [Lease(data) for data in self._connection._raw.networks.leases(self._project, self.name)]

    def state(self) -> Dict[str, Any]:
        """Addresses and counters."""
        return self._connection._raw.networks.state(self._project, self.name)

    def update(self, *, config: Optional[Mapping[str, Any]] = None, description: Optional[str] = None) -> Network:
        """Changes what is given; other keys stay, '' unsets one."""
        changes: Dict[str, Any] = {}
        if config is not None:
            changes["config"] = text_map(config)
        if description is not None:
            changes["description"] = description
        self._connection._raw.networks.patch(self._project, self.name, changes)
        return self.refresh()

    def rename(self, name: str) -> Network:
        """Gives it another name."""
        self._connection._raw.networks.rename(self._project, self.name, name)
        self.data["name"] = name
        return self

    def delete(self) -> None:
        """Removes it."""
        self._connection._raw.networks.delete(self._project, self.name)


class Networks(Collection[Network]):
    """The networks of a project and of the host; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Network]:
        """All of them."""
        c = self._connection
        return [Network(c, data, c.project) for data in c._raw.networks.list(c.project)]

    def names(self) -> List[str]:
        """Their names."""
        return self._connection._raw.networks.names(self._connection.project)

    def get(self, name: str) -> Network:
        """One. Raises NotFoundError."""
        c = self._connection
        return Network(c, c._raw.networks.get(c.project, name), c.project)

    def create(self, name: str, *, type: str = "bridge", config: Optional[Mapping[str, Any]] = None,
               description: str = "") -> Network:
        """Makes one and brings it up."""
        c = self._connection
        c._raw.networks.create(c.project, {"name": name, "type": type, "config": text_map(config),
                                           "description": description})
        return self.get(name)
