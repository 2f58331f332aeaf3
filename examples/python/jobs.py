#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a command in ten containers at once with asyncio, and shows how far their making is. $JOB is the number of each.

    jobs.py STATE_DIR IMAGE.tar.gz COMMAND ...
"""
import asyncio
import os
import sys
from typing import List

import lxdcore

ROOT = {"root": {"type": "disk", "path": "/", "pool": "default"}}


async def job(core: lxdcore.Core, number: int, fingerprint: str, command: List[str]) -> int:
    def show(what: str, amount: str) -> None:
        print(f"job {number}: {what} {amount}", file=sys.stderr)

    # What only begins something is a request, too: a thread keeps it away from the loop.
    making = await asyncio.to_thread(core.instances.begin_create, f"job-{number}", image=fingerprint, devices=ROOT)
    container: lxdcore.Instance = await making.result_async(progress=show)
    try:
        await container.begin("start")
        result = await container.exec_async(command, environment={"JOB": str(number)})
        await container.begin("stop", force=True)
    finally:
        await container.delete()
    print(f"job {number}: exit code {result.exit_code}: {result.stdout.decode(errors='replace').strip()}")
    return result.exit_code


async def run(core: lxdcore.Core, path: str, command: List[str]) -> int:
    image: lxdcore.Image = await core.images.import_file(path)
    try:
        codes = await asyncio.gather(*(job(core, number, image.fingerprint, command) for number in range(10)))
    finally:
        await image.delete()
    return 1 if any(codes) else 0


def main() -> int:
    if len(sys.argv) < 4:
        print((__doc__ or "").strip(), file=sys.stderr)
        return 2
    with lxdcore.Core(sys.argv[1], helper=os.environ.get("LXDCORE_HELPER")) as core:
        if "default" not in core.storage_pools:
            core.storage_pools.create("default", driver="dir")
        return asyncio.run(run(core, sys.argv[2], sys.argv[3:]))


if __name__ == "__main__":
    sys.exit(main())
