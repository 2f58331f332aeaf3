# SPDX-License-Identifier: Apache-2.0
"""Images and their names."""
from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Union

from ._entity import Collection, Entity, LocalPath
from ._files import copy_out
from ._lxdcore import NotFoundError
from ._operation import Operation, parse_time

if TYPE_CHECKING:
    from ._connection import Connection


class Alias(Entity):
    """A name of an image."""

    @property
    def target(self) -> str:
        """The image's fingerprint."""
        return self._text("target")

    def update(self, *, description: Optional[str] = None, target: Union[Image, str, None] = None) -> Alias:
        """Changes what is given; `target` is another image or its fingerprint."""
        changes: Dict[str, Any] = {}
        if description is not None:
            changes["description"] = description
        if target is not None:
            changes["target"] = target.fingerprint if isinstance(target, Image) else target
        self._connection._raw.images.update_alias(self._project, self.name, changes)
        self.data = self._connection._raw.images.alias(self._project, self.name)
        return self

    def rename(self, name: str) -> Alias:
        """Gives the image this name instead."""
        self._connection._raw.images.rename_alias(self._project, self.name, name)
        self.data["name"] = name
        return self

    def delete(self) -> None:
        """Removes the name, not the image."""
        self._connection._raw.images.delete_alias(self._project, self.name)


class Image(Entity):
    """What instances are made from."""

    _key = "fingerprint"

    @property
    def name(self) -> str:
        """Its first alias, or ''."""
        return self.aliases[0] if self.aliases else ""

    @property
    def fingerprint(self) -> str:
        """64 hex digits."""
        return self._text("fingerprint")

    @property
    def aliases(self) -> List[str]:
        """Its names."""
        return [alias["name"] for alias in self.data.get("aliases") or []]

    @property
    def properties(self) -> Dict[str, str]:
        """What its maker says about it."""
        return dict(self.data.get("properties") or {})

    @property
    def architecture(self) -> str:
        """x86_64, aarch64, …"""
        return self._text("architecture")

    @property
    def size(self) -> int:
        """Bytes, as it is stored."""
        return int(self.data.get("size") or 0)

    @property
    def public(self) -> bool:
        """Whether everybody may read it."""
        return bool(self.data.get("public"))

    @property
    def created_at(self) -> Optional[datetime.datetime]:
        """When it was made."""
        return parse_time(self.data.get("created_at"))

    @property
    def uploaded_at(self) -> Optional[datetime.datetime]:
        """When the server got it."""
        return parse_time(self.data.get("uploaded_at"))

    @property
    def last_used_at(self) -> Optional[datetime.datetime]:
        """When an instance was made from it last."""
        return parse_time(self.data.get("last_used_at"))

    def refresh(self) -> Image:
        """Reads it again."""
        self.data = self._connection._raw.images.get(self._project, self.fingerprint)
        return self

    def update(self, *, properties: Optional[Mapping[str, str]] = None, public: Optional[bool] = None) -> Image:
        """Changes what is given."""
        changes: Dict[str, Any] = {}
        if properties is not None:
            changes["properties"] = dict(properties)
        if public is not None:
            changes["public"] = public
        self._connection._raw.images.patch(self._project, self.fingerprint, changes)
        return self.refresh()

    def add_alias(self, name: str, description: str = "") -> Alias:
        """Gives it one more name."""
        c = self._connection
        c._raw.images.create_alias(self._project, {"name": name, "description": description,
                                                   "target": self.fingerprint})
        return Alias(c, c._raw.images.alias(self._project, name), self._project)

    def update_from_source(self) -> Operation:
        """Looks for a newer one where it came from. The operation's result is True when there was one, and a failure for
        an image that was uploaded."""
        c = self._connection
        return Operation(c, c._raw.images.refresh(self._project, self.fingerprint),
                         lambda metadata: bool(metadata.get("refreshed")))

    def create_secret(self) -> str:
        """Lets somebody who is not trusted read it once: GET /1.0/images/<fingerprint>/export?secret=…"""
        c = self._connection
        metadata = Operation(c, c._raw.images.create_secret(self._project, self.fingerprint)).metadata
        return str(metadata["secret"])

    def export(self, directory: LocalPath) -> List[Path]:
        """Writes its one or two files, byte for byte as they were imported."""
        paths = []
        for number, (name, fd, _) in enumerate(self._connection._raw.images.export(self._project, self.fingerprint)):
            path = Path(directory) / (os.path.basename(name) or f"{self.fingerprint}.{number}")
            paths.append(copy_out(fd, path))
        return paths

    def delete(self) -> Operation:
        """Removes it."""
        c = self._connection
        return Operation(c, c._raw.images.delete(self._project, self.fingerprint))


class Images(Collection[Image]):
    """The images of a project; iterable, and `in` takes what get() takes, or an Image."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Image]:
        """All of them."""
        c = self._connection
        return [Image(c, data, c.project) for data in c._raw.images.list(c.project)]

    def names(self) -> List[str]:
        """All aliases."""
        return [alias.name for alias in self.aliases()]

    def __contains__(self, what: object) -> bool:
        if not isinstance(what, str):
            return what in self.list()
        try:
            return what != "" and bool(self.get(what))
        except NotFoundError:
            return False

    def get(self, name: str) -> Image:
        """By alias, by fingerprint, or by at least 12 of its digits. Raises NotFoundError."""
        c = self._connection
        try:
            name = c._raw.images.alias(c.project, name)["target"]
        except NotFoundError:
            if len(name) < 12 or any(digit not in "0123456789abcdef" for digit in name):
                raise
        return Image(c, c._raw.images.get(c.project, name), c.project)

    def aliases(self) -> List[Alias]:
        """All names of images."""
        c = self._connection
        return [Alias(c, data, c.project) for data in c._raw.images.aliases(c.project)]

    def import_file(self, path: LocalPath, rootfs: Optional[LocalPath] = None, *, aliases: Sequence[str] = (),
                    properties: Optional[Mapping[str, str]] = None, public: bool = False) -> Operation:
        """Imports a unified tarball, or metadata and rootfs. The operation's result is the Image."""
        c = self._connection
        raw = c._raw.images.import_file(Path(path), None if rootfs is None else Path(rootfs), list(aliases),
                                        dict(properties or {}), public, c.project)
        return Operation(c, raw, lambda metadata: self.get(metadata["fingerprint"]))
