# SPDX-License-Identifier: Apache-2.0
"""The server itself: settings, trust, projects, warnings, operations."""
from __future__ import annotations

import base64
import datetime
import json
from typing import TYPE_CHECKING, Any, Dict, Iterator, List, Mapping, Optional, Sequence

from ._entity import Collection, Config, Entity, text_map
from ._operation import Operation, parse_time

if TYPE_CHECKING:
    from ._connection import Connection


class Project(Entity):
    """A space of names of its own."""


class Projects(Collection[Project]):
    """All projects; iterable."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Project]:
        """All of them."""
        return [Project(self._connection, data, data["name"]) for data in self._connection._raw.server.projects()]

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

    @property
    def projects(self) -> List[str]:
        """The projects that it may use if it is restricted."""
        return list(self.data.get("projects") or [])

    def refresh(self) -> Certificate:
        """Reads it again."""
        self.data = self._connection._raw.server.certificate(self.fingerprint)
        return self

    def update(self, *, name: Optional[str] = None, restricted: Optional[bool] = None,
               projects: Optional[Sequence[str]] = None) -> Certificate:
        """Changes what is given."""
        self._connection._raw.server.update_certificate(self.fingerprint, {
            "name": self.name if name is None else name, "type": self._text("type"), "certificate": self.certificate,
            "restricted": self.restricted if restricted is None else restricted,
            "projects": list(self.projects if projects is None else projects)})
        return self.refresh()

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


class Token:
    """An invitation into the trust store. It works once, and until the server ends."""

    def __init__(self, operation: Operation, name: str):
        self._operation = operation
        metadata = operation.metadata
        content = {"client_name": name, "fingerprint": metadata["fingerprint"], "addresses": metadata["addresses"],
                   "secret": metadata["secret"], "expires_at": metadata.get("expiresAt") or "0001-01-01T00:00:00Z"}
        self._text = base64.b64encode(json.dumps(content).encode()).decode()

    def __str__(self) -> str:
        return self._text

    @property
    def operation(self) -> Operation:
        """What stands for it at the server."""
        return self._operation

    def revoke(self) -> None:
        """Makes it void."""
        self._operation.cancel()

    def __repr__(self) -> str:
        return f"<lxdcore.Token {self._operation.id}>"


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

    def certificate(self, fingerprint: str) -> Certificate:
        """One of them, by its fingerprint or the beginning of it. Raises NotFoundError."""
        return Certificate(self._connection, self._connection._raw.server.certificate(fingerprint))

    def issue_token(self, name: str, *, restricted: bool = False, projects: Sequence[str] = ()) -> Token:
        """An invitation for a client whose certificate is not known yet; the server must listen on HTTPS."""
        raw = self._connection._raw.server.issue_token({"name": name, "type": "client", "restricted": restricted,
                                                        "projects": list(projects), "token": True})
        return Token(Operation(self._connection, raw), name)

    def metrics(self, projects: Sequence[str] = ()) -> str:
        """Figures about the running instances of the connection's project, or of others, for Prometheus."""
        return self._connection._raw.metrics.metrics(list(projects) or [self._connection.project])

    def warnings(self) -> List[Warning]:
        """What the administrator should know."""
        return [Warning(self._connection, data) for data in self._connection._raw.warnings.list()]


class Operations:
    """What the server works on; iterable, and `in` takes an id or an Operation."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def list(self) -> List[Operation]:
        """Operations of the project."""
        c = self._connection
        return [Operation(c, raw) for raw in c._raw.operations.list(c.project)]

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.list())

    def __contains__(self, what: object) -> bool:
        id = what.id if isinstance(what, Operation) else what
        return any(operation.id == id for operation in self.list())

    def get(self, id: str) -> Operation:
        """One. Raises NotFoundError."""
        return Operation(self._connection, self._connection._raw.operations.get(id))
