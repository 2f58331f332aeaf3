# SPDX-License-Identifier: Apache-2.0
"""Storage pools."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from ._entity import Collection, Entity, text_map
from ._volumes import Volumes

if TYPE_CHECKING:
    from ._connection import Connection


class StoragePool(Entity):
    """Where instances, images and volumes are kept."""

    @property
    def driver(self) -> str:
        """dir, btrfs, …"""
        return self._text("driver")

    @property
    def status(self) -> str:
        """Created, or Unavailable."""
        return self._text("status")

    @property
    def volumes(self) -> Volumes:
        """What is in it."""
        return Volumes(self)

    def refresh(self) -> StoragePool:
        """Reads it again."""
        self.data = self._connection._raw.storage.get(self.name)
        return self

    def resources(self) -> Dict[str, Any]:
        """Space and inodes: {"space": {"used", "total"}, "inodes": {…}}, bytes."""
        return self._connection._raw.storage.resources(self.name)

    def update(self, *, config: Optional[Mapping[str, Any]] = None, description: Optional[str] = None) -> StoragePool:
        """Changes what is given; other keys stay, '' unsets one."""
        changes: Dict[str, Any] = {}
        if config is not None:
            changes["config"] = text_map(config)
        if description is not None:
            changes["description"] = description
        self._connection._raw.storage.patch(self.name, changes)
        return self.refresh()

    def delete(self) -> None:
        """Removes it; it must be unused."""
        self._connection._raw.storage.delete(self.name)


class StoragePools(Collection[StoragePool]):
    """All storage pools; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[StoragePool]:
        """All of them."""
        c = self._connection
        return [StoragePool(c, data, c.project) for data in c._raw.storage.list()]

    def names(self) -> List[str]:
        """Their names."""
        return self._connection._raw.storage.names()

    def get(self, name: str) -> StoragePool:
        """One. Raises NotFoundError."""
        c = self._connection
        return StoragePool(c, c._raw.storage.get(name), c.project)

    def create(self, name: str, *, driver: str = "dir", config: Optional[Mapping[str, Any]] = None,
               description: str = "") -> StoragePool:
        """Makes one."""
        self._connection._raw.storage.create({"name": name, "driver": driver, "config": text_map(config),
                                              "description": description})
        return self.get(name)
