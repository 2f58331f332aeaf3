# SPDX-License-Identifier: Apache-2.0
"""What an instance has of its image: metadata and templates. They take effect at the next start, copy or rename."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional

if TYPE_CHECKING:
    from ._instances import Instance
    from ._lxdcore import InstanceMetadataService


class Templates:
    """Files of which some of an instance are made: their names, iterable."""

    def __init__(self, instance: Instance):
        self._instance = instance

    @property
    def _service(self) -> InstanceMetadataService:
        return self._instance._connection._raw.metadata

    def names(self) -> List[str]:
        """All of them."""
        return self._service.templates(self._instance.project, self._instance.name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def read(self, name: str) -> bytes:
        """One of them. Raises NotFoundError."""
        return self._service.read_template(self._instance.project, self._instance.name, name)

    def write(self, name: str, content: bytes) -> None:
        """Makes or replaces one. Which file it becomes is in the instance's metadata."""
        self._service.write_template(self._instance.project, self._instance.name, name, content)

    def delete(self, name: str) -> None:
        """Removes one."""
        self._service.delete_template(self._instance.project, self._instance.name, name)


class Metadata:
    """What metadata.yaml says of an instance; `data` is all of it."""

    def __init__(self, instance: Instance):
        self._instance = instance
        self.data: Dict[str, Any] = {}
        self.refresh()

    @property
    def _service(self) -> InstanceMetadataService:
        return self._instance._connection._raw.metadata

    @property
    def properties(self) -> Dict[str, str]:
        """What the image's maker says about it."""
        return dict(self.data.get("properties") or {})

    @property
    def templates(self) -> Dict[str, Dict[str, Any]]:
        """By path in the instance: when the file is made, of which template, with which properties."""
        return dict(self.data.get("templates") or {})

    def refresh(self) -> Metadata:
        """Reads it again."""
        self.data = self._service.get(self._instance.project, self._instance.name)
        return self

    def update(self, *, properties: Optional[Mapping[str, str]] = None,
               templates: Optional[Mapping[str, Mapping[str, Any]]] = None) -> Metadata:
        """Adds to what is there, or replaces it key by key."""
        changes: Dict[str, Any] = {}
        if properties is not None:
            changes["properties"] = dict(properties)
        if templates is not None:
            changes["templates"] = {path: dict(template) for path, template in templates.items()}
        self._service.patch(self._instance.project, self._instance.name, changes)
        return self.refresh()

    def replace(self, data: Mapping[str, Any]) -> Metadata:
        """Replaces all of it."""
        self._service.set(self._instance.project, self._instance.name, dict(data))
        return self.refresh()
