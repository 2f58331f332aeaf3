#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Launches a container from an image file and runs a command in it, without a daemon. The container is thrown away, the
image is kept for the next time.

    launch.py STATE_DIR IMAGE.tar.gz [COMMAND ...]
"""
import os
import sys

import lxdcore


def the_image(core: lxdcore.Core, path: str) -> lxdcore.Image:
    """The image under the name "example", imported when it is not there yet."""
    if "example" in core.images:
        return core.images.get("example")
    image: lxdcore.Image = core.images.import_file(path, aliases=["example"]).result()
    return image


def main() -> int:
    if len(sys.argv) < 3:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    state_dir, path, command = sys.argv[1], sys.argv[2], sys.argv[3:] or ["hostname"]
    with lxdcore.Core(state_dir, helper=os.environ.get("LXDCORE_HELPER")) as core:
        if "default" not in core.storage_pools:
            core.storage_pools.create("default", driver="dir")
        root = {"type": "disk", "path": "/", "pool": "default"}
        container = core.instances.create(image=the_image(core, path).fingerprint, devices={"root": root},
                                          ephemeral=True, start=True)
        try:
            result = container.exec(command)
        finally:
            container.stop(force=True)  # and, being ephemeral, it is gone
    sys.stdout.buffer.write(result.stdout)
    sys.stderr.buffer.write(result.stderr)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
