# SPDX-License-Identifier: Apache-2.0
"""Profiles."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional

from ._entity import Collection, Devices, Entity, device_map, text_map

if TYPE_CHECKING:
    from ._connection import Connection


class Profile(Entity):
    """Configuration and devices that instances share."""

    @property
    def devices(self) -> Devices:
        """Its devices."""
        return {name: dict(device) for name, device in (self.data.get("devices") or {}).items()}

    def refresh(self) -> Profile:
        """Reads it again."""
        self.data = self._connection._raw.profiles.get(self._project, self.name)
        return self

    def update(self, *, config: Optional[Mapping[str, Any]] = None,
               devices: Optional[Mapping[str, Mapping[str, Any]]] = None, description: Optional[str] = None) -> Profile:
        """Changes what is given: keys are added or replaced, the others stay."""
        changes: Dict[str, Any] = {}
        if config is not None:
            changes["config"] = {**self.config, **text_map(config)}
        if devices is not None:
            changes["devices"] = {**self.devices, **device_map(devices)}
        if description is not None:
            changes["description"] = description
        self._connection._raw.profiles.patch(self._project, self.name, changes)
        return self.refresh()

    def replace(self, *, config: Mapping[str, Any], devices: Mapping[str, Mapping[str, Any]],
                description: str = "") -> Profile:
        """Replaces all of it."""
        self._connection._raw.profiles.update(self._project, self.name, {
            "config": text_map(config), "devices": device_map(devices), "description": description})
        return self.refresh()

    def rename(self, name: str) -> Profile:
        """Gives it another name."""
        self._connection._raw.profiles.rename(self._project, self.name, name)
        self.data["name"] = name
        return self

    def delete(self) -> None:
        """Removes it."""
        self._connection._raw.profiles.delete(self._project, self.name)


class Profiles(Collection[Profile]):
    """The profiles of a project; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Profile]:
        """All of them, by name."""
        c = self._connection
        return [Profile(c, data, c.project) for data in c._raw.profiles.list(c.project)]

    def names(self) -> List[str]:
        """Their names."""
        return self._connection._raw.profiles.names(self._connection.project)

    def get(self, name: str) -> Profile:
        """One. Raises NotFoundError."""
        c = self._connection
        return Profile(c, c._raw.profiles.get(c.project, name), c.project)

    def create(self, name: str, *, config: Optional[Mapping[str, Any]] = None,
               devices: Optional[Mapping[str, Mapping[str, Any]]] = None, description: str = "") -> Profile:
        """Makes one."""
        c = self._connection
        c._raw.profiles.create(c.project, {"name": name, "config": text_map(config), "devices": device_map(devices),
                                           "description": description})
        return self.get(name)
