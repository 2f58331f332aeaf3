# SPDX-License-Identifier: Apache-2.0
"""Snapshots of instances."""
from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence

from ._entity import Collection, Config, Devices
from ._operation import Operation, ProgressCallback, format_time, parse_time

if TYPE_CHECKING:
    from ._instances import Instance
    from ._lxdcore import InstanceSnapshotService


class Snapshot:
    """An instance as it was. `Instances.create(copy_of="instance/snapshot")` makes a new one of it."""

    def __init__(self, instance: Instance, data: Dict[str, Any]):
        self._instance = instance
        self.data = data

    @property
    def _service(self) -> InstanceSnapshotService:
        return self._instance._connection._raw.snapshots

    @property
    def name(self) -> str:
        """What it is called, without the instance's name."""
        return str(self.data["name"])

    @property
    def instance(self) -> Instance:
        """What it is a snapshot of."""
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
    def stateful(self) -> bool:
        """True when it has the memory of the instance."""
        return bool(self.data.get("stateful"))

    @property
    def config(self) -> Config:
        """The instance's own configuration then."""
        return dict(self.data.get("config") or {})

    @property
    def devices(self) -> Devices:
        """The instance's own devices then."""
        return {name: dict(device) for name, device in (self.data.get("devices") or {}).items()}

    @property
    def profiles(self) -> List[str]:
        """The instance's profiles."""
        return list(self.data.get("profiles") or [])

    def refresh(self) -> Snapshot:
        """Reads it again."""
        i = self._instance
        self.data = self._service.get(i.project, i.name, self.name)
        return self

    def update(self, *, expires_at: Optional[datetime.datetime]) -> Snapshot:
        """Changes when it expires (None: never), and waits."""
        i = self._instance
        Operation(i._connection, self._service.update(i.project, i.name, self.name, {
            "expires_at": format_time(expires_at)})).result()
        return self.refresh()

    def restore(self, *, progress: Optional[ProgressCallback] = None) -> Instance:
        """Gives the instance this content and configuration again, and waits. One that runs is stopped for it, and
        started again."""
        i = self._instance
        Operation(i._connection, i._service.update(i.project, i.name, {"restore": self.name})).result(
            progress=progress)
        return i.refresh()

    def rename(self, name: str) -> Operation:
        """Gives it another name."""
        i = self._instance

        def done(metadata: Dict[str, Any]) -> Snapshot:
            self.data["name"] = name
            return self.refresh()

        return Operation(i._connection, self._service.rename(i.project, i.name, self.name, name), done)

    def publish(self, *, aliases: Sequence[str] = (), properties: Optional[Mapping[str, str]] = None,
                public: bool = False, compression: str = "") -> Operation:
        """Makes an image of it. The operation's result is the Image."""
        return self._instance._publish(self.name, aliases, properties, public, compression)

    def delete(self) -> Operation:
        """Removes it."""
        i = self._instance
        return Operation(i._connection, self._service.delete(i.project, i.name, self.name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Snapshot) and (self._instance, self.name) == (other._instance, other.name)

    def __hash__(self) -> int:
        return hash((self._instance, self.name))

    def __repr__(self) -> str:
        return f"<lxdcore.Snapshot {self._instance.name}/{self.name}>"


class Snapshots(Collection[Snapshot]):
    """The snapshots of an instance; iterable."""

    def __init__(self, instance: Instance):
        self._instance = instance

    @property
    def _service(self) -> InstanceSnapshotService:
        return self._instance._connection._raw.snapshots

    def list(self) -> List[Snapshot]:
        """All of them, in the order of their making."""
        i = self._instance
        return [Snapshot(i, data) for data in self._service.list(i.project, i.name)]

    def names(self) -> List[str]:
        """Their names."""
        return self._service.names(self._instance.project, self._instance.name)

    def get(self, name: str) -> Snapshot:
        """One. Raises NotFoundError."""
        i = self._instance
        return Snapshot(i, self._service.get(i.project, i.name, name))

    def begin_create(self, name: str = "", *, stateful: bool = False,
                     expires_at: Optional[datetime.datetime] = None) -> Operation:
        """create() without waiting: the operation's result is the Snapshot."""
        i = self._instance
        before = set(self.names()) if not name else set()
        request: Dict[str, Any] = {"name": name, "stateful": stateful}
        if expires_at is not None:
            request["expires_at"] = format_time(expires_at)

        def made(metadata: Dict[str, Any]) -> Snapshot:
            return self.get(name or [new for new in self.names() if new not in before][-1])

        return Operation(i._connection, self._service.create(i.project, i.name, request), made)

    def create(self, name: str = "", *, stateful: bool = False,
               expires_at: Optional[datetime.datetime] = None, progress: Optional[ProgressCallback] = None) -> Snapshot:
        """Makes one, and waits. Without a name it gets one by `snapshots.pattern`."""
        snapshot: Snapshot = self.begin_create(name, stateful=stateful, expires_at=expires_at).result(progress=progress)
        return snapshot
