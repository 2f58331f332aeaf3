# SPDX-License-Identifier: Apache-2.0
"""Storage volumes and their snapshots."""
from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Union

from ._backups import VolumeBackups
from ._entity import Collection, Entity, LocalPath, text_map
from ._operation import Operation, ProgressCallback, format_time, parse_time

if TYPE_CHECKING:
    from ._connection import Connection
    from ._lxdcore import StorageVolumeService
    from ._storage import StoragePool


class Volume(Entity):
    """What a storage pool keeps for an instance, an image or on its own. Only custom ones can be changed."""

    def __init__(self, connection: Connection, data: Dict[str, Any], pool: str, project: str = "default"):
        super().__init__(connection, data, project)
        self._pool = pool

    @property
    def _service(self) -> StorageVolumeService:
        return self._connection._raw.volumes

    @property
    def pool(self) -> str:
        """The pool that it is in."""
        return self._pool

    @property
    def type(self) -> str:
        """container, image, custom or virtual-machine."""
        return self._text("type")

    @property
    def content_type(self) -> str:
        """filesystem or block."""
        return self._text("content_type")

    @property
    def created_at(self) -> Optional[datetime.datetime]:
        """When it was made."""
        return parse_time(self.data.get("created_at"))

    @property
    def snapshots(self) -> VolumeSnapshots:
        """Its snapshots."""
        return VolumeSnapshots(self)

    @property
    def backups(self) -> VolumeBackups:
        """Its backups that the server keeps."""
        return VolumeBackups(self)

    def refresh(self) -> Volume:
        """Reads it again."""
        self.data = self._service.get(self._pool, self._project, self.type, self.name)
        return self

    def state(self) -> Dict[str, Any]:
        """Space: {"usage": {"used", "total"}}, bytes. Raises an Error where the pool does not count it."""
        return self._service.state(self._pool, self._project, self.type, self.name)

    def update(self, *, config: Optional[Mapping[str, Any]] = None, description: Optional[str] = None) -> Volume:
        """Changes what is given; other keys stay, '' unsets one."""
        self.refresh()
        merged = {key: value for key, value in {**self.config, **text_map(config)}.items() if value != ""}
        self._service.update(self._pool, self._project, self.type, self.name, {
            "config": merged, "description": self.description if description is None else description})
        return self.refresh()

    def rename(self, name: str) -> Volume:
        """Gives it another name, and waits."""
        self._wait(self._service.move(self._pool, self._project, self.type, self.name, {"name": name}))
        self.data["name"] = name
        return self.refresh()

    def move(self, pool: str, *, name: Optional[str] = None, progress: Optional[ProgressCallback] = None) -> Volume:
        """Brings it and its snapshots to another pool, and waits."""
        change = {"name": name or self.name, "pool": pool}
        self._wait(self._service.move(self._pool, self._project, self.type, self.name, change), progress)
        self._pool, self.data["name"] = pool, change["name"]
        return self.refresh()

    def delete(self) -> None:
        """Removes it with its snapshots; nothing may use it."""
        self._service.delete(self._pool, self._project, self.type, self.name)

    def _wait(self, raw: Any, progress: Optional[ProgressCallback] = None) -> None:
        if raw is not None:
            Operation(self._connection, raw).result(progress=progress)

    def _identity(self) -> tuple[Any, ...]:
        return (*super()._identity(), self._pool, self.type)


class VolumeSnapshot:
    """A custom volume as it was."""

    def __init__(self, volume: Volume, data: Dict[str, Any]):
        self._volume = volume
        self.data = data

    @property
    def name(self) -> str:
        """What it is called, without the volume's name."""
        return str(self.data["name"]).rpartition("/")[2]

    @property
    def volume(self) -> Volume:
        """What it is a snapshot of."""
        return self._volume

    @property
    def description(self) -> str:
        """For people."""
        return str(self.data.get("description") or "")

    @property
    def created_at(self) -> Optional[datetime.datetime]:
        """When it was made; None from a server that does not tell."""
        return parse_time(self.data.get("created_at"))

    @property
    def expires_at(self) -> Optional[datetime.datetime]:
        """When the server removes it; None: never."""
        return parse_time(self.data.get("expires_at"))

    def refresh(self) -> VolumeSnapshot:
        """Reads it again."""
        v = self._volume
        self.data = v._service.snapshot(v.pool, v.project, v.name, self.name)
        return self

    def update(self, *, description: Optional[str] = None,
               expires_at: Optional[datetime.datetime] = None) -> VolumeSnapshot:
        """Changes what is given."""
        v = self._volume
        changes: Dict[str, Any] = {
            "description": self.description if description is None else description,
            "expires_at": format_time(expires_at) if expires_at is not None else self.data.get("expires_at")}
        v._service.update_snapshot(v.pool, v.project, v.name, self.name, changes)
        return self.refresh()

    def restore(self) -> Volume:
        """Gives the volume this content again; nothing may use it."""
        v = self._volume
        v._service.update(v.pool, v.project, "custom", v.name, {"restore": self.name})
        return v.refresh()

    def rename(self, name: str) -> VolumeSnapshot:
        """Gives it another name, and waits."""
        v = self._volume
        v._wait(v._service.rename_snapshot(v.pool, v.project, v.name, self.name, name))
        self.data["name"] = name
        return self.refresh()

    def delete(self) -> Operation:
        """Removes it."""
        v = self._volume
        return Operation(v._connection, v._service.delete_snapshot(v.pool, v.project, v.name, self.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VolumeSnapshot) and (self._volume, self.name) == (other._volume, other.name)

    def __hash__(self) -> int:
        return hash((self._volume, self.name))

    def __repr__(self) -> str:
        return f"<lxdcore.VolumeSnapshot {self._volume.name}/{self.name}>"


class VolumeSnapshots(Collection[VolumeSnapshot]):
    """The snapshots of a custom volume; iterable."""

    def __init__(self, volume: Volume):
        self._volume = volume

    def list(self) -> List[VolumeSnapshot]:
        """All of them."""
        v = self._volume
        return [VolumeSnapshot(v, data) for data in v._service.snapshots(v.pool, v.project, v.name)]

    def get(self, name: str) -> VolumeSnapshot:
        """One. Raises NotFoundError."""
        v = self._volume
        return VolumeSnapshot(v, v._service.snapshot(v.pool, v.project, v.name, name))

    def create(self, name: str, *, expires_at: Optional[datetime.datetime] = None) -> VolumeSnapshot:
        """Makes one, and waits."""
        v = self._volume
        request: Dict[str, Any] = {"name": name}
        if expires_at is not None:
            request["expires_at"] = format_time(expires_at)
        v._wait(v._service.create_snapshot(v.pool, v.project, v.name, request))
        return self.get(name)


class Volumes(Collection[Volume]):
    """The volumes of a pool; iterable."""

    def __init__(self, pool: StoragePool):
        self._pool = pool

    @property
    def _service(self) -> StorageVolumeService:
        return self._pool._connection._raw.volumes

    def list(self, type: str = "") -> List[Volume]:
        """All, or those of one type; without snapshots."""
        p = self._pool
        return [Volume(p._connection, data, p.name, p.project) for data in self._service.list(p.name, p.project, type)
                if "/" not in data["name"]]

    def get(self, name: str, type: str = "custom") -> Volume:
        """One. Raises NotFoundError."""
        p = self._pool
        return Volume(p._connection, self._service.get(p.name, p.project, type, name), p.name, p.project)

    def create(self, name: str, *, config: Optional[Mapping[str, Any]] = None, description: str = "",
               content_type: str = "filesystem", copy_of: Union[Volume, VolumeSnapshot, None] = None,
               progress: Optional[ProgressCallback] = None) -> Volume:
        """Makes a custom volume, empty or as a copy of another one or of a snapshot, and waits."""
        p = self._pool
        request: Dict[str, Any] = {"name": name, "type": "custom", "config": text_map(config), "description": description,
                                   "content_type": content_type}
        if copy_of is not None:
            volume = copy_of.volume if isinstance(copy_of, VolumeSnapshot) else copy_of
            source = volume.name if volume is copy_of else f"{volume.name}/{copy_of.name}"
            request["content_type"] = volume.content_type
            request["source"] = {"type": "copy", "name": source, "pool": volume.pool, "project": volume.project}
        raw = self._service.create(p.name, p.project, request)
        if raw is not None:
            Operation(p._connection, raw).result(progress=progress)
        return self.get(name)

    def import_backup(self, path: LocalPath, *, name: str = "") -> Operation:
        """Makes a custom volume of the file of a backup; its name is that of then if not given. The operation's result is
        the Volume."""
        p = self._pool
        before = {volume.name for volume in self.list("custom")} if not name else set()
        with open(path, "rb") as file:
            raw = p._connection._raw.volume_backups.import_backup(p.name, p.project, name, file.fileno())

        def made(metadata: Dict[str, Any]) -> Volume:
            return self.get(name or [volume.name for volume in self.list("custom") if volume.name not in before][-1])

        return Operation(p._connection, raw, made)
