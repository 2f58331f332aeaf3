# SPDX-License-Identifier: Apache-2.0
"""System containers in process.

    with lxdcore.Core("/var/lib/mycontainers") as core:
        core.images.import_file("busybox.tar.gz", aliases=["bb"]).result()
        ...
"""

from ._lxdcore import *  # noqa: F401,F403
from ._lxdcore import Core, Operation  # noqa: F401
