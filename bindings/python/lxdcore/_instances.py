# SPDX-License-Identifier: Apache-2.0
"""Instances."""
from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Union

from ._backups import Backups
from ._console import Console, Terminal
from ._entity import Collection, Config, Devices, Entity, LocalPath, device_map, text_map
from ._exec import PIPE, Capture, ExecError, ExecResult, Process, Stream, exit_code
from ._files import Files
from ._lxdcore import InstanceService
from ._metadata import Metadata, Templates
from ._operation import Operation, ProgressCallback, parse_time
from ._snapshots import Snapshots

if TYPE_CHECKING:
    from ._connection import Connection
    from ._sftp import SftpSocket


class Instance(Entity):
    """A container. Its properties are as they were read last; refresh() reads them again."""

    @property
    def _service(self) -> InstanceService:
        return self._connection._raw.instances

    # --- what it is ---
    @property
    def status(self) -> str:
        """Running, Stopped, Frozen, …"""
        return self._text("status")

    @property
    def type(self) -> str:
        """container."""
        return self._text("type")

    @property
    def architecture(self) -> str:
        """x86_64, aarch64, …"""
        return self._text("architecture")

    @property
    def ephemeral(self) -> bool:
        """Removed when it stops."""
        return bool(self.data.get("ephemeral"))

    @property
    def profiles(self) -> List[str]:
        """Names of its profiles, in the order in which they apply."""
        return list(self.data.get("profiles") or [])

    @property
    def devices(self) -> Devices:
        """Its own devices."""
        return {name: dict(device) for name, device in (self.data.get("devices") or {}).items()}

    @property
    def expanded_config(self) -> Config:
        """Configuration with that of its profiles."""
        return dict(self.data.get("expanded_config") or {})

    @property
    def expanded_devices(self) -> Devices:
        """Devices with those of its profiles."""
        return {name: dict(device) for name, device in (self.data.get("expanded_devices") or {}).items()}

    @property
    def created_at(self) -> Optional[datetime.datetime]:
        """When it was made."""
        return parse_time(self.data.get("created_at"))

    @property
    def last_used_at(self) -> Optional[datetime.datetime]:
        """When it was started last."""
        return parse_time(self.data.get("last_used_at"))

    def refresh(self) -> Instance:
        """Reads it again."""
        self.data = self._service.get(self._project, self.name)
        return self

    def state(self) -> Dict[str, Any]:
        """What it uses now: status, pid, processes, memory, cpu, disk, network."""
        return self._service.state(self._project, self.name)

    def addresses(self, family: str = "inet") -> List[str]:
        """Addresses that others can reach it by."""
        networks: Dict[str, Any] = self.state().get("network") or {}
        return [address["address"] for network in networks.values() for address in network["addresses"]
                if address["family"] == family and address["scope"] == "global"]

    # --- changing it ---
    def update(self, *, config: Optional[Mapping[str, Any]] = None,
               devices: Optional[Mapping[str, Mapping[str, Any]]] = None, profiles: Optional[Sequence[str]] = None,
               description: Optional[str] = None, ephemeral: Optional[bool] = None) -> Instance:
        """Changes what is given, also while it runs; keys that are not named stay, and '' unsets one."""
        changes: Dict[str, Any] = {}
        if config is not None:
            changes["config"] = text_map(config)
        if devices is not None:
            changes["devices"] = device_map(devices)
        if profiles is not None:
            changes["profiles"] = list(profiles)
        if description is not None:
            changes["description"] = description
        if ephemeral is not None:
            changes["ephemeral"] = ephemeral
        self._service.patch(self._project, self.name, changes)
        return self.refresh()

    def replace(self, *, config: Mapping[str, Any], devices: Mapping[str, Mapping[str, Any]], profiles: Sequence[str],
                description: str = "", ephemeral: bool = False) -> Operation:
        """Replaces all that can be edited."""
        return self._operation(self._service.update(self._project, self.name, {
            "architecture": self.architecture, "config": text_map(config), "devices": device_map(devices),
            "profiles": list(profiles), "description": description, "ephemeral": ephemeral}))

    def rename(self, name: str) -> Operation:
        """Gives a stopped instance another name."""
        def done(metadata: Dict[str, Any]) -> Instance:
            self.data["name"] = name
            return self.refresh()

        return Operation(self._connection, self._service.rename(self._project, self.name, name), done)

    def delete(self) -> Operation:
        """Removes a stopped instance."""
        return self._operation(self._service.delete(self._project, self.name))

    def begin(self, action: str, *, timeout: int = 30, force: bool = False, stateful: bool = False) -> Operation:
        """start, stop, restart, freeze or unfreeze, without waiting."""
        return self._operation(self._service.change_state(self._project, self.name, action, timeout, force, stateful))

    def start(self) -> Instance:
        """Starts it, and waits."""
        return self._change("start")

    def stop(self, *, timeout: int = 30, force: bool = False) -> Optional[Instance]:
        """Stops it, and waits: at most `timeout` seconds for a clean end. `force` kills it. None when it was ephemeral
        and is gone."""
        self.begin("stop", timeout=timeout, force=force).result()
        return None if self.ephemeral else self.refresh()

    def restart(self, *, timeout: int = 30, force: bool = False) -> Instance:
        """Stops and starts it, and waits."""
        return self._change("restart", timeout=timeout, force=force)

    def freeze(self) -> Instance:
        """Holds its processes, and waits."""
        return self._change("freeze")

    def unfreeze(self) -> Instance:
        """Lets them go on, and waits."""
        return self._change("unfreeze")

    # --- what it has of its image ---
    @property
    def metadata(self) -> Metadata:
        """What metadata.yaml says, read now."""
        return Metadata(self)

    @property
    def templates(self) -> Templates:
        """Of what some of its files are made."""
        return Templates(self)

    # --- what is kept of it ---
    @property
    def snapshots(self) -> Snapshots:
        """Its snapshots."""
        return Snapshots(self)

    @property
    def backups(self) -> Backups:
        """Its backups that the server keeps."""
        return Backups(self)

    def publish(self, *, aliases: Sequence[str] = (), properties: Optional[Mapping[str, str]] = None,
                public: bool = False, compression: str = "") -> Operation:
        """Makes an image of it; it must be stopped. The operation's result is the Image."""
        return self._publish("", aliases, properties, public, compression)

    # --- inside ---
    def exec(self, command: Sequence[str], *, input: bytes = b"", environment: Optional[Mapping[str, str]] = None,
             cwd: str = "", user: int = 0, group: int = 0, timeout: Optional[float] = None,
             check: bool = False) -> ExecResult:
        """Runs a command to its end: (exit_code, stdout, stderr). With `check` an exit code other than 0 raises
        ExecError. A timeout raises TimeoutError; the command goes on."""
        capture = Capture(input)
        operation = self._exec(self._request(command, environment, cwd, user, group), *capture.fds)
        result = capture.result(exit_code(operation, timeout))
        if check and result.exit_code != 0:
            raise ExecError(list(command), result)
        return result

    async def exec_async(self, command: Sequence[str], *, input: bytes = b"",
                         environment: Optional[Mapping[str, str]] = None, cwd: str = "", user: int = 0, group: int = 0,
                         check: bool = False) -> ExecResult:
        """exec() for asyncio."""
        from . import _aio

        capture = Capture(input)
        request = self._request(command, environment, cwd, user, group)
        operation = await _aio.in_thread(self._exec, request, *capture.fds)
        await operation.ended()
        result = capture.result(await _aio.in_thread(exit_code, operation))
        if check and result.exit_code != 0:
            raise ExecError(list(command), result)
        return result

    def popen(self, command: Sequence[str], *, stdin: Stream = None, stdout: Stream = PIPE, stderr: Stream = PIPE,
              environment: Optional[Mapping[str, str]] = None, cwd: str = "", user: int = 0, group: int = 0) -> Process:
        """Starts a command on streams: PIPE, a descriptor, an open file, or None for /dev/null."""
        request = self._request(command, environment, cwd, user, group)
        return Process(lambda *fds: self._exec(request, *fds), stdin, stdout, stderr)

    def terminal(self, command: Sequence[str], *, width: int = 80, height: int = 24,
                 environment: Optional[Mapping[str, str]] = None, cwd: str = "", user: int = 0,
                 group: int = 0) -> Terminal:
        """Starts a command on a terminal of its own, for what is interactive; it can be sent signals."""
        request = {**self._request(command, environment, cwd, user, group), "width": width, "height": height}
        return Terminal(self._operation(self._service.exec_terminal(self._project, self.name, request)))

    @property
    def files(self) -> Files:
        """Its files."""
        return Files(self)

    def sftp(self) -> SftpSocket:
        """A session of SFTP version 3 on its files, as its root sees them: a connected socket, for paramiko.SFTPClient
        and the like."""
        from ._sftp import SftpSocket  # with socket, which most programs can be imported without

        return SftpSocket(*self._service.sftp(self._project, self.name))

    def console(self, width: int = 80, height: int = 24) -> Console:
        """Attaches to its console; it must run."""
        return Console(self._operation(self._service.console(self._project, self.name, width, height)))

    def console_log(self) -> bytes:
        """What its console has shown."""
        return self._service.console_log(self._project, self.name)

    def clear_console_log(self) -> None:
        """Empties that."""
        self._service.clear_console_log(self._project, self.name)

    def logs(self) -> List[str]:
        """Names of its log files on the server."""
        return self._service.logs(self._project, self.name)

    def read_log(self, name: str) -> bytes:
        """One of them."""
        with open(self._service.open_log(self._project, self.name, name), "rb") as file:
            return file.read()

    def delete_log(self, name: str) -> None:
        """Removes one."""
        self._service.delete_log(self._project, self.name, name)

    # --- parts ---
    @staticmethod
    def _request(command: Sequence[str], environment: Optional[Mapping[str, str]], cwd: str, user: int,
                 group: int) -> Dict[str, Any]:
        if isinstance(command, str):
            raise TypeError("a command is a list: its program and arguments")
        return {"command": list(command), "environment": dict(environment or {}), "cwd": cwd, "user": user,
                "group": group}

    def _exec(self, request: Dict[str, Any], stdin: int, stdout: int, stderr: int) -> Operation:
        return self._operation(self._service.exec(self._project, self.name, request, stdin, stdout, stderr))

    def _publish(self, snapshot: str, aliases: Sequence[str], properties: Optional[Mapping[str, str]], public: bool,
                 compression: str) -> Operation:
        c = self._connection
        raw = c._raw.publishing.publish(self._project, self.name, snapshot, list(aliases), dict(properties or {}), public,
                                        compression)
        return Operation(c, raw, lambda metadata: c.in_project(self._project).images.get(metadata["fingerprint"]))

    def _operation(self, raw: Any) -> Operation:
        return Operation(self._connection, raw)

    def _change(self, action: str, *, timeout: int = 30, force: bool = False) -> Instance:
        self.begin(action, timeout=timeout, force=force).result()
        return self.refresh()


class Instances(Collection[Instance]):
    """The instances of a project; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Instance]:
        """All of them, by name."""
        c = self._connection
        return [Instance(c, data, c.project) for data in c._raw.instances.list(c.project)]

    def names(self) -> List[str]:
        """Their names."""
        return self._connection._raw.instances.names(self._connection.project)

    def get(self, name: str) -> Instance:
        """One. Raises NotFoundError."""
        c = self._connection
        return Instance(c, c._raw.instances.get(c.project, name), c.project)

    def begin_create(self, name: str = "", *, image: Union[str, None] = None, copy_of: Optional[str] = None,
                     config: Optional[Mapping[str, Any]] = None,
                     devices: Optional[Mapping[str, Mapping[str, Any]]] = None,
                     profiles: Optional[Sequence[str]] = None, description: str = "", ephemeral: bool = False,
                     instance_type: str = "") -> Operation:
        """create() without waiting: the operation's result is the Instance."""
        c = self._connection
        if image is not None and copy_of is not None:
            raise ValueError("an instance is made of an image or of another instance")
        source: Dict[str, Any] = {"type": "none"}
        if image is not None:
            source = {"type": "image", "fingerprint": c.images.get(image).fingerprint}
        if copy_of is not None:
            source = {"type": "copy", "source": copy_of}
            if profiles is None:
                profiles = self.get(copy_of.partition("/")[0]).profiles
        request: Dict[str, Any] = {
            "name": name, "source": source, "config": text_map(config), "devices": device_map(devices),
            "description": description, "ephemeral": ephemeral, "instance_type": instance_type}
        if profiles is not None:
            request["profiles"] = list(profiles)
        raw = c._raw.instances.create(c.project, request)
        return Operation(c, raw, self._made(raw, name))

    def begin_all(self, action: str, *, timeout: int = 30, force: bool = False) -> Operation:
        """start, stop, restart, freeze or unfreeze all that this can apply to. Its failure names those that failed."""
        c = self._connection
        return Operation(c, c._raw.instances.change_all_states(c.project, action, timeout, force))

    def import_backup(self, path: LocalPath, *, name: str = "", pool: str = "") -> Operation:
        """Makes an instance of the file of a backup; its name and pool are those of then if not given. The operation's
        result is the Instance."""
        c = self._connection
        with open(path, "rb") as file:
            raw = c._raw.backups.import_backup(c.project, name, pool, file.fileno())
        return Operation(c, raw, self._made(raw, name))

    def _made(self, raw: Any, name: str) -> Callable[[Dict[str, Any]], Instance]:
        def made(metadata: Dict[str, Any]) -> Instance:
            paths = (raw.to_dict().get("resources") or {}).get("instances") or []
            return self.get(name or paths[0].rpartition("/")[2].partition("?")[0])

        return made

    def create(self, name: str = "", *, image: Optional[str] = None, copy_of: Optional[str] = None,
               config: Optional[Mapping[str, Any]] = None, devices: Optional[Mapping[str, Mapping[str, Any]]] = None,
               profiles: Optional[Sequence[str]] = None, description: str = "", ephemeral: bool = False,
               instance_type: str = "", start: bool = False, progress: Optional[ProgressCallback] = None) -> Instance:
        """Makes an instance, from an image (alias or fingerprint), another instance or its snapshot ("c1/snap0"), or
        empty, and waits. Without a name it gets one. Profiles that are not given are "default", or those of the
        other instance."""
        instance: Instance = self.begin_create(
            name, image=image, copy_of=copy_of, config=config, devices=devices, profiles=profiles,
            description=description, ephemeral=ephemeral, instance_type=instance_type).result(progress=progress)
        return instance.start() if start else instance
