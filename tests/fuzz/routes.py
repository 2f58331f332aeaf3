#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon's routes without their handlers, for fuzz_route: rows of a table in C++, read from the sources.

    routes.py DAEMON_FOLDER
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lint"))

from check_compatibility import ADD  # noqa: E402

folder = pathlib.Path(sys.argv[1])
count = 0
for table, place in (("client", "routes"), ("guest", "devlxd")):
    for file in sorted((folder / place).glob("*.cpp")):
        for call, method, path in ADD.findall(file.read_text(encoding="utf-8")):
            path = "/1.0/instances" + path if call == "add_instance_route" else path
            print(f'{{&{table}, Method::{method}, "{path}"}},')
            count += 1
if count < 100:
    raise SystemExit(f"{count} routes: they are added in a form that this cannot read")
