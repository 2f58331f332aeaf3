# SPDX-License-Identifier: Apache-2.0
"""System containers: in this process (Core), or of a daemon (Client). Both have the same objects.

    import lxdcore

    with lxdcore.Core("/var/lib/mycontainers") as core:         # or lxdcore.Client()
        core.images.import_file("busybox.tar.gz", aliases=["bb"]).result()
        c1 = core.instances.create("c1", image="bb", ephemeral=True, start=True)
        print(c1.exec(["hostname"], check=True).stdout.decode())
        c1.stop(force=True)

What takes long returns an Operation, unless its description says that it waits: `operation.result()` waits and raises
its failure, `await operation` does so in asyncio. Failures are subclasses of Error. Objects may be used from any thread.
"""
from ._backups import Backup, Backups, VolumeBackup, VolumeBackups
from ._connection import Client, Connection, Core
from ._console import Console, Terminal
from ._exec import PIPE, ExecError, ExecResult, Process
from ._files import FileInfo, Files
from ._images import Alias, Image, Images
from ._instances import Instance, Instances
from ._lxdcore import (AlreadyExistsError, BadStateError, CancelledError, Error, ForbiddenError, InvalidArgumentError,
                       NoSpaceError, NotFoundError, StaleEtagError, TooLargeError, UnauthorizedError, UnavailableError,
                       UnsupportedError)
from ._metadata import Metadata, Templates
from ._networks import Lease, Network, Networks
from ._operation import Event, Events, Operation
from ._profiles import Profile, Profiles
from ._server import Certificate, Operations, Project, Projects, Server, Token, Warning
from ._snapshots import Snapshot, Snapshots
from ._storage import StoragePool, StoragePools
from ._volumes import Volume, Volumes, VolumeSnapshot, VolumeSnapshots

__all__ = [
    "Alias", "AlreadyExistsError", "Backup", "Backups", "BadStateError", "CancelledError", "Certificate", "Client",
    "Connection", "Console", "Core", "Error", "Event", "Events", "ExecError", "ExecResult", "FileInfo", "Files",
    "ForbiddenError", "Image", "Images", "Instance", "Instances", "InvalidArgumentError", "Lease", "Metadata",
    "Network", "Networks", "NoSpaceError", "NotFoundError", "Operation", "Operations", "PIPE", "Process", "Profile",
    "Profiles", "Project", "Projects", "Server", "Snapshot", "Snapshots", "StaleEtagError", "StoragePool",
    "StoragePools", "Templates", "Terminal", "Token", "TooLargeError", "UnauthorizedError", "UnavailableError",
    "UnsupportedError", "Volume", "VolumeBackup", "VolumeBackups", "VolumeSnapshot", "VolumeSnapshots", "Volumes",
    "Warning",
]
