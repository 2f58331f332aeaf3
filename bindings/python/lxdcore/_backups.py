# SPDX-License-Identifier: Apache-2.0
"""Backups of instances."""
from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Optional

from ._entity import LocalPath
from ._files import copy_out
from ._operation import Operation, format_time, parse_time

if TYPE_CHECKING:
    from ._instances import Instance
    from ._lxdcore import BackupService


class Backup:
    """An instance in one file, which the server keeps. `Instances.import_backup()` makes an instance of such a file."""

    def __init__(self, instance: Instance, data: Dict[str, Any]):
        self._instance = instance
        self.data = data

    @property
    def _service(self) -> BackupService:
        return self._instance._connection._raw.backups

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.data["name"]).rpartition("/")[2]

    @property
    def instance(self) -> Instance:
        """What it is a backup of."""
        return self._instance

    @property
    def created_at(self) -> Optional[datetime.datetime]:
        """When it was made."""
        return parse_time(self.data.get("created_at"))

    @property
    def expires_at(self) -> Optional[datetime.datetime]:
        """When the server removes it; None: never."""
        return parse_time(self.data.get("expires_at"))

    @property
    def instance_only(self) -> bool:
        """True when it is without snapshots."""
        return bool(self.data.get("instance_only"))

    @property
    def optimized(self) -> bool:
        """True when only a pool of the same driver can read it."""
        return bool(self.data.get("optimized_storage"))

    def export(self, path: LocalPath) -> Path:
        """Writes its file."""
        i = self._instance
        return copy_out(self._service.open(i.project, i.name, self.name), path)

    def rename(self, name: str) -> Operation:
        """Gives it another name."""
        i = self._instance

        def done(metadata: Dict[str, Any]) -> Backup:
            self.data = self._service.get(i.project, i.name, name)
            return self

        return Operation(i._connection, self._service.rename(i.project, i.name, self.name, name), done)

    def delete(self) -> Operation:
        """Removes it."""
        i = self._instance
        return Operation(i._connection, self._service.delete(i.project, i.name, self.name))

    def __repr__(self) -> str:
        return f"<lxdcore.Backup {self._instance.name}/{self.name}>"


class Backups:
    """The backups of an instance that the server keeps; iterable."""

    def __init__(self, instance: Instance):
        self._instance = instance

    @property
    def _service(self) -> BackupService:
        return self._instance._connection._raw.backups

    def list(self) -> List[Backup]:
        """All of them, in the order of their making."""
        i = self._instance
        return [Backup(i, data) for data in self._service.list(i.project, i.name)]

    def __iter__(self) -> Iterator[Backup]:
        return iter(self.list())

    def get(self, name: str) -> Backup:
        """One. Raises NotFoundError."""
        i = self._instance
        return Backup(i, self._service.get(i.project, i.name, name))

    def begin_create(self, name: str = "", *, instance_only: bool = False, optimized: bool = False,
                     compression: str = "", expires_at: Optional[datetime.datetime] = None) -> Operation:
        """create() without waiting: the operation's result is the Backup."""
        i = self._instance
        before = {backup.name for backup in self} if not name else set()
        request: Dict[str, Any] = {"name": name, "instance_only": instance_only, "optimized_storage": optimized,
                                   "compression_algorithm": compression}
        if expires_at is not None:
            request["expires_at"] = format_time(expires_at)

        def made(metadata: Dict[str, Any]) -> Backup:
            return self.get(name or [backup.name for backup in self if backup.name not in before][-1])

        return Operation(i._connection, self._service.create(i.project, i.name, request), made)

    def create(self, name: str = "", *, instance_only: bool = False, optimized: bool = False, compression: str = "",
               expires_at: Optional[datetime.datetime] = None) -> Backup:
        """Makes one, and waits. `compression` is "gzip", "zstd -3", "none", …; '' is as the server is set."""
        backup: Backup = self.begin_create(name, instance_only=instance_only, optimized=optimized,
                                           compression=compression, expires_at=expires_at).result()
        return backup
