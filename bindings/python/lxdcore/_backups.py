# SPDX-License-Identifier: Apache-2.0
"""Backups of instances and of custom volumes."""
from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Tuple, TypeVar, Union

from ._entity import Collection, LocalPath
from ._files import copy_out
from ._operation import Operation, ProgressCallback, format_time, parse_time

if TYPE_CHECKING:
    from ._connection import Connection
    from ._instances import Instance
    from ._lxdcore import BackupService, VolumeBackupService
    from ._volumes import Volume


class _Place:
    """Where the backups of one instance or volume are: the service, and how it is told which."""

    def __init__(self, connection: Connection, service: Callable[[], Union[BackupService, VolumeBackupService]],
                 key: Callable[[], Tuple[str, ...]]):
        self.connection = connection
        self._service = service
        self._key = key

    def call(self, method: str, *more: Any) -> Any:
        return getattr(self._service(), method)(*self._key(), *more)

    def begin(self, method: str, *more: Any, done: Optional[Callable[[Dict[str, Any]], Any]] = None) -> Operation:
        return Operation(self.connection, self.call(method, *more), done)


def _of_instance(instance: Instance) -> _Place:
    c = instance._connection
    return _Place(c, lambda: c._raw.backups, lambda: (instance.project, instance.name))


def _of_volume(volume: Volume) -> _Place:
    c = volume._connection
    return _Place(c, lambda: c._raw.volume_backups, lambda: (volume.pool, volume.project, volume.name))


class _Stored:
    """What all backups have in common."""

    def __init__(self, place: _Place, data: Dict[str, Any]):
        self._place = place
        self.data = data

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.data["name"]).rpartition("/")[2]

    @property
    def created_at(self) -> Optional[datetime.datetime]:
        """When it was made."""
        return parse_time(self.data.get("created_at"))

    @property
    def expires_at(self) -> Optional[datetime.datetime]:
        """When the server removes it; None: never."""
        return parse_time(self.data.get("expires_at"))

    @property
    def optimized(self) -> bool:
        """True when only a pool of the same driver can read it."""
        return bool(self.data.get("optimized_storage"))

    def export(self, path: LocalPath) -> Path:
        """Writes its file."""
        return copy_out(self._place.call("open", self.name), path)

    def rename(self, name: str) -> Operation:
        """Gives it another name."""
        def done(metadata: Dict[str, Any]) -> _Stored:
            self.data = self._place.call("get", name)
            return self

        return self._place.begin("rename", self.name, name, done=done)

    def delete(self) -> Operation:
        """Removes it."""
        return self._place.begin("delete", self.name)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, _Stored) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> Tuple[Any, ...]:
        return (id(self._place.connection._raw), *self._place._key(), self.name)


class Backup(_Stored):
    """An instance in one file, which the server keeps. `Instances.import_backup()` makes an instance of such a file."""

    def __init__(self, instance: Instance, data: Dict[str, Any]):
        super().__init__(_of_instance(instance), data)
        self._instance = instance

    @property
    def instance(self) -> Instance:
        """What it is a backup of."""
        return self._instance

    @property
    def instance_only(self) -> bool:
        """True when it is without snapshots."""
        return bool(self.data.get("instance_only"))

    def __repr__(self) -> str:
        return f"<lxdcore.Backup {self._instance.name}/{self.name}>"


class VolumeBackup(_Stored):
    """A custom volume in one file, which the server keeps. `Volumes.import_backup()` makes a volume of such a file."""

    def __init__(self, volume: Volume, data: Dict[str, Any]):
        super().__init__(_of_volume(volume), data)
        self._volume = volume

    @property
    def volume(self) -> Volume:
        """What it is a backup of."""
        return self._volume

    @property
    def volume_only(self) -> bool:
        """True when it is without snapshots."""
        return bool(self.data.get("volume_only"))

    def __repr__(self) -> str:
        return f"<lxdcore.VolumeBackup {self._volume.name}/{self.name}>"


_Kind = TypeVar("_Kind", bound=_Stored)


class _StoredList(Collection[_Kind]):
    """What lists of backups have in common."""

    def __init__(self, place: _Place, make: Callable[[Dict[str, Any]], _Kind]):
        self._place = place
        self._make = make

    def list(self) -> List[_Kind]:
        """All of them, in the order of their making."""
        return [self._make(data) for data in self._place.call("list")]

    def get(self, name: str) -> _Kind:
        """One. Raises NotFoundError."""
        return self._make(self._place.call("get", name))

    def _begin(self, name: str, request: Dict[str, Any], expires_at: Optional[datetime.datetime]) -> Operation:
        before = {backup.name for backup in self} if not name else set()
        request["name"] = name
        if expires_at is not None:
            request["expires_at"] = format_time(expires_at)

        def made(metadata: Dict[str, Any]) -> _Kind:
            return self.get(name or [backup.name for backup in self if backup.name not in before][-1])

        return self._place.begin("create", request, done=made)


class Backups(_StoredList[Backup]):
    """The backups of an instance that the server keeps; iterable."""

    def __init__(self, instance: Instance):
        super().__init__(_of_instance(instance), lambda data: Backup(instance, data))

    def begin_create(self, name: str = "", *, instance_only: bool = False, optimized: bool = False,
                     compression: str = "", expires_at: Optional[datetime.datetime] = None) -> Operation:
        """create() without waiting: the operation's result is the Backup."""
        return self._begin(name, {"instance_only": instance_only, "optimized_storage": optimized,
                                  "compression_algorithm": compression}, expires_at)

    def create(self, name: str = "", *, instance_only: bool = False, optimized: bool = False, compression: str = "",
               expires_at: Optional[datetime.datetime] = None, progress: Optional[ProgressCallback] = None) -> Backup:
        """Makes one, and waits. `compression` is "gzip", "zstd -3", "none", …; '' is as the server is set."""
        backup: Backup = self.begin_create(name, instance_only=instance_only, optimized=optimized,
                                           compression=compression, expires_at=expires_at).result(progress=progress)
        return backup


class VolumeBackups(_StoredList[VolumeBackup]):
    """The backups of a custom volume that the server keeps; iterable."""

    def __init__(self, volume: Volume):
        super().__init__(_of_volume(volume), lambda data: VolumeBackup(volume, data))

    def begin_create(self, name: str = "", *, volume_only: bool = False, optimized: bool = False,
                     compression: str = "", expires_at: Optional[datetime.datetime] = None) -> Operation:
        """create() without waiting: the operation's result is the VolumeBackup."""
        return self._begin(name, {"volume_only": volume_only, "optimized_storage": optimized,
                                  "compression_algorithm": compression}, expires_at)

    def create(self, name: str = "", *, volume_only: bool = False, optimized: bool = False, compression: str = "",
               expires_at: Optional[datetime.datetime] = None,
               progress: Optional[ProgressCallback] = None) -> VolumeBackup:
        """Makes one, and waits. `compression` is "gzip", "zstd -3", "none", …; '' is as the server is set."""
        backup: VolumeBackup = self.begin_create(
            name, volume_only=volume_only, optimized=optimized, compression=compression,
            expires_at=expires_at).result(progress=progress)
        return backup
