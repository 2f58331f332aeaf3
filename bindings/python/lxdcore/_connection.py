# SPDX-License-Identifier: Apache-2.0
"""Core and Client."""
from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional, Sequence, TypeVar, Union

from . import _lxdcore
from ._entity import LocalPath
from ._images import Images
from ._instances import Instances
from ._networks import Networks
from ._operation import Events, Operation
from ._profiles import Profiles
from ._server import Operations, Projects, Server
from ._storage import StoragePools

if TYPE_CHECKING:
    import logging
    import threading

Self = TypeVar("Self", bound="Connection")

# What is still open when the interpreter ends is closed while its threads can still be waited for.
_open: weakref.WeakSet[Connection] = weakref.WeakSet()


class Connection:
    """What Core and Client have in common: everything. Use it with `with`, or close() it."""

    _raw: Union[_lxdcore.Core, _lxdcore.Client]

    def __init__(self, raw: Union[_lxdcore.Core, _lxdcore.Client], project: str):
        self._raw = raw
        self._project = project

    @property
    def project(self) -> str:
        """The project that its collections show."""
        return self._project

    def in_project(self: Self, project: str) -> Self:
        """The same server, seen from another project."""
        other = object.__new__(type(self))
        other._raw = self._raw
        other._project = project
        _open.add(other)
        return other

    @property
    def instances(self) -> Instances:
        """The project's instances."""
        return Instances(self)

    @property
    def images(self) -> Images:
        """The project's images."""
        return Images(self)

    @property
    def profiles(self) -> Profiles:
        """The project's profiles."""
        return Profiles(self)

    @property
    def networks(self) -> Networks:
        """The project's networks and those of the host."""
        return Networks(self)

    @property
    def storage_pools(self) -> StoragePools:
        """All storage pools."""
        return StoragePools(self)

    @property
    def projects(self) -> Projects:
        """All projects."""
        return Projects(self)

    @property
    def operations(self) -> Operations:
        """What is worked on."""
        return Operations(self)

    @property
    def server(self) -> Server:
        """The server's own settings."""
        return Server(self)

    def events(self, types: Sequence[str] = ("lifecycle", "operation"), *, all_projects: bool = False) -> Events:
        """Events from here on, of the types lifecycle, operation and logging."""
        return Events(self, self._raw.events.subscribe(list(types), "" if all_projects else self._project))

    @property
    def closed(self) -> bool:
        """True after close()."""
        return self._raw.closed

    def close(self) -> None:
        """Lets go of the server. Containers go on, and so do a Client's operations; those of a Core are interrupted and
        undo what they began, or are waited for. A second time does nothing."""
        self._raw.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Core(Connection):
    """Containers in this process, without a daemon: the state directory, which one process at a time may have, is
    opened here, and what an earlier process left half done is repaired. Containers keep running after close()."""

    def __init__(self, state_dir: LocalPath, *, project: str = "default", helper: Optional[LocalPath] = None,
                 autostart: bool = False, unprivileged_only: bool = False, log: Optional[logging.Logger] = None):
        """`helper` is lxdcore-helper if it is not the installed one; `autostart` starts what should run;
        `unprivileged_only` refuses privileged containers. `log` gets what there is to tell, in a thread of its own."""
        self._state_dir = Path(state_dir).absolute()
        fd = -1
        self._log: Optional[threading.Thread] = None
        if log is not None:
            from . import _log

            fd, self._log = _log.pipe_to(log)
        try:
            raw = _lxdcore.Core(self._state_dir, os.fspath(helper or ""), autostart, unprivileged_only, fd)
        finally:
            if fd >= 0:
                os.close(fd)
        super().__init__(raw, project)
        _open.add(self)

    def close(self) -> None:
        """Lets go of the directory; containers keep running. A second time does nothing."""
        super().close()
        if self._log is not None:
            self._log.join(1)  # what was said last; something of the Core may still be used, and keep it

    @property
    def state_dir(self) -> Path:
        """Where everything is kept."""
        return self._state_dir

    def in_project(self, project: str) -> Core:
        """The same, seen from another project."""
        other = super().in_project(project)
        other._state_dir = self._state_dir
        other._log = self._log
        return other

    def __repr__(self) -> str:
        return f"<lxdcore.Core {self._state_dir}>"


class Client(Connection):
    """A daemon, lxdcored or LXD, on this host or elsewhere."""

    def __init__(self, url: Union[str, "os.PathLike[str]"] = "", *, certificate: Optional[LocalPath] = None,
                 key: Optional[LocalPath] = None, server_certificate: Optional[LocalPath] = None,
                 server_fingerprint: str = "", project: str = "default", connect_timeout: float = 10.0,
                 timeout: float = 0.0):
        """`url` is https://host[:port] or the path of a unix socket; without one it is this host's, below $LXD_DIR.
        HTTPS wants our `certificate` and `key` (PEM files), and the server's certificate or its fingerprint. Times are
        seconds; `timeout` limits each request, 0 does not."""
        self._url = os.fspath(url)
        super().__init__(_lxdcore.Client(self._url, os.fspath(certificate or ""), os.fspath(key or ""),
                                         os.fspath(server_certificate or ""), server_fingerprint, connect_timeout, timeout),
                         project)
        _open.add(self)

    def in_project(self, project: str) -> Client:
        """The same, seen from another project."""
        other = super().in_project(project)
        other._url = self._url
        return other

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Anything else of the REST API: the answer's metadata."""
        return self._raw_client.request(method, path, body)

    def request_operation(self, method: str, path: str, body: Any = None) -> Operation:
        """The same for what answers with an operation."""
        return Operation(self, self._raw_client.request_operation(method, path, body))

    def trust(self, password: str) -> None:
        """Asks an HTTPS server to trust our certificate: with a token, or the trust password."""
        self._raw_client.trust(password)

    @property
    def _raw_client(self) -> _lxdcore.Client:
        assert isinstance(self._raw, _lxdcore.Client)
        return self._raw

    def __repr__(self) -> str:
        return f"<lxdcore.Client {self._url or 'local'}>"


def _close_all() -> None:
    for connection in list(_open):
        connection.close()


def _register() -> None:
    import atexit

    atexit.register(_close_all)


_register()
