#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Launches a container from an image file and runs a command in it, without a daemon.

    launch.py STATE_DIR IMAGE.tar.gz [COMMAND ...]
"""
import sys

import lxdcore


def main() -> int:
    if len(sys.argv) < 3:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    state_dir, image, command = sys.argv[1], sys.argv[2], sys.argv[3:] or ["hostname"]
    with lxdcore.Core(state_dir) as core:
        if not any(pool["name"] == "default" for pool in core.storage.list()):
            core.storage.create({"name": "default", "driver": "dir"})
        fingerprint = core.images.import_file(image).result()["fingerprint"]
        root = {"type": "disk", "path": "/", "pool": "default"}
        source = {"type": "image", "fingerprint": fingerprint}
        core.instances.create({"name": "py1", "source": source, "devices": {"root": root}}).result()
        try:
            core.instances.start("py1").result()
            code, out, err = core.instances.exec("py1", command)
            sys.stdout.buffer.write(out)
            sys.stderr.buffer.write(err)
            core.instances.stop("py1", force=True).result()
        finally:
            core.instances.delete("py1").result()
            core.images.delete(fingerprint).result()
    return code


if __name__ == "__main__":
    sys.exit(main())
