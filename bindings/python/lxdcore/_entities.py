# SPDX-License-Identifier: Apache-2.0
"""Objects of a server and their collections."""
from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence, Union

from ._lxdcore import NotFoundError
from ._operation import Operation, parse_time

if TYPE_CHECKING:
    from ._connection import Connection

Config = Dict[str, str]
Devices = Dict[str, Dict[str, str]]
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


class Profiles:
    """The profiles of a project; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Profile]:
        """All of them, by name."""
        c = self._connection
        return [Profile(c, data, c.project) for data in c._raw.profiles.list(c.project)]

    def __iter__(self) -> Iterator[Profile]:
        return iter(self.list())

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


class Networks:
    """The networks of a project and of the host; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Network]:
        """All of them."""
        c = self._connection
        return [Network(c, data, c.project) for data in c._raw.networks.list(c.project)]

    def __iter__(self) -> Iterator[Network]:
        return iter(self.list())

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


class Volume(Entity):
    """What a storage pool keeps for an instance, an image or on its own."""

    def __init__(self, connection: Connection, data: Dict[str, Any], pool: str, project: str = "default"):
        super().__init__(connection, data, project)
        self._pool = pool

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

    def _identity(self) -> tuple[Any, ...]:
        return (*super()._identity(), self._pool, self.type)


class Volumes:
    """The volumes of a pool; iterable."""

    def __init__(self, pool: StoragePool):
        self._pool = pool

    def list(self, type: str = "") -> List[Volume]:
        """All, or those of one type."""
        p = self._pool
        raw = p._connection._raw.storage
        return [Volume(p._connection, data, p.name, p.project) for data in raw.volumes(p.name, p.project, type)]

    def __iter__(self) -> Iterator[Volume]:
        return iter(self.list())

    def get(self, name: str, type: str = "custom") -> Volume:
        """One. Raises NotFoundError."""
        p = self._pool
        raw = p._connection._raw.storage
        return Volume(p._connection, raw.volume(p.name, p.project, type, name), p.name, p.project)


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


class StoragePools:
    """All storage pools; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[StoragePool]:
        """All of them."""
        c = self._connection
        return [StoragePool(c, data, c.project) for data in c._raw.storage.list()]

    def __iter__(self) -> Iterator[StoragePool]:
        return iter(self.list())

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


class Alias(Entity):
    """A name of an image."""

    @property
    def target(self) -> str:
        """The image's fingerprint."""
        return self._text("target")

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

    def export(self, directory: LocalPath) -> List[Path]:
        """Writes its one or two files, byte for byte as they were imported."""
        paths = []
        for number, (name, fd, _) in enumerate(self._connection._raw.images.export(self._project, self.fingerprint)):
            path = Path(directory) / (os.path.basename(name) or f"{self.fingerprint}.{number}")
            with open(fd, "rb", buffering=0) as source, open(path, "wb") as target:
                while piece := source.read(1 << 20):
                    target.write(piece)
            paths.append(path)
        return paths

    def delete(self) -> Operation:
        """Removes it."""
        c = self._connection
        return Operation(c, c._raw.images.delete(self._project, self.fingerprint))


class Images:
    """The images of a project; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Image]:
        """All of them."""
        c = self._connection
        return [Image(c, data, c.project) for data in c._raw.images.list(c.project)]

    def __iter__(self) -> Iterator[Image]:
        return iter(self.list())

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


class Project(Entity):
    """A space of names of its own."""


class Projects:
    """All projects; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Project]:
        """All of them."""
        return [Project(self._connection, data, data["name"]) for data in self._connection._raw.server.projects()]

    def __iter__(self) -> Iterator[Project]:
        return iter(self.list())

    def get(self, name: str) -> Project:
        """One. Raises NotFoundError."""
        return Project(self._connection, self._connection._raw.server.project(name), name)


class Certificate(Entity):
    """A client that is trusted."""

    _key = "fingerprint"

    @property
    def fingerprint(self) -> str:
        """SHA-256, hex."""
        return self._text("fingerprint")

    @property
    def certificate(self) -> str:
        """PEM."""
        return self._text("certificate")

    @property
    def restricted(self) -> bool:
        """True when it may use its projects only."""
        return bool(self.data.get("restricted"))

    def delete(self) -> None:
        """Trusts it no more."""
        self._connection._raw.server.remove_certificate(self.fingerprint)


class Warning(Entity):
    """What the administrator should know."""

    _key = "uuid"

    @property
    def message(self) -> str:
        """What happened last."""
        return self._text("last_message")

    @property
    def severity(self) -> str:
        """low, moderate or high."""
        return self._text("severity")

    @property
    def last_seen_at(self) -> Optional[datetime.datetime]:
        """When it happened last."""
        return parse_time(self.data.get("last_seen_at"))

    def acknowledge(self) -> None:
        """Marks it as read."""
        self._connection._raw.warnings.acknowledge(self._text("uuid"))

    def delete(self) -> None:
        """Removes it."""
        self._connection._raw.warnings.delete(self._text("uuid"))


class Server:
    """The server's own settings."""

    def __init__(self, connection: Connection):
        self._connection = connection

    @property
    def config(self) -> Config:
        """Its settings."""
        return self._connection._raw.server.config()

    def update(self, config: Mapping[str, Any]) -> None:
        """Changes settings; '' unsets one."""
        self._connection._raw.server.patch(text_map(config))

    def info(self) -> Dict[str, Any]:
        """What GET /1.0 tells: api_extensions, environment, …"""
        return self._connection._raw.server.environment()

    def resources(self) -> Dict[str, Any]:
        """Processors, memory, disks, cards of the host."""
        return self._connection._raw.server.resources()

    def certificates(self) -> List[Certificate]:
        """Whom it trusts."""
        return [Certificate(self._connection, data) for data in self._connection._raw.server.certificates()]

    def add_certificate(self, pem: str, *, name: str = "", restricted: bool = False,
                        projects: Sequence[str] = ()) -> Certificate:
        """Trusts a client's certificate."""
        data = self._connection._raw.server.add_certificate({
            "certificate": pem, "name": name, "type": "client", "restricted": restricted, "projects": list(projects)})
        return Certificate(self._connection, data)

    def warnings(self) -> List[Warning]:
        """What the administrator should know."""
        return [Warning(self._connection, data) for data in self._connection._raw.warnings.list()]


class Operations:
    """What the server works on; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Operation]:
        """Operations of the project."""
        c = self._connection
        return [Operation(c, raw) for raw in c._raw.operations.list(c.project)]

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.list())

    def get(self, id: str) -> Operation:
        """One. Raises NotFoundError."""
        return Operation(self._connection, self._connection._raw.operations.get(id))
