#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the page on compatibility says is missing: differences between what LXD 5.0 has and what the sources have."""
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check_compatibility as check  # noqa: E402

SOURCES = {
    "tests/data/routes.txt": "# a list\nGET /1.0\nGET /1.0/things\nPUT /1.0/things/x/xyz\n",
    "tests/data/api-extensions.txt": "# a list\nfirst\nsecond\nthird\n",
    "tests/data/config-keys.txt": "# a list\ndevice:proxy\n    bind\ndevice:disk\n    path\n    volatile.*.size\n    other\n"
                                  "storage-pool:dir\n    source\nstorage-volume:dir\n    size\n    stripes\n    new\n",
    "daemon/routes/things.cpp": 'router.add(Method::Get, "/1.0/things", list);\n',
    "lib/server/api_extensions.cpp": '    "second", // here\n',
    "lib/device/nic.cpp": "void refuse_unsupported() {\n}\n",
    "lib/config/some_keys.cpp": "".join(
        f"std::span<const Key> {name}_keys() {{\n    static constexpr Key table[] = {{\n"
        + "".join(f'        {{"{key}", "", check::any, true, true}},\n' for key in keys) + "    };\n    return table;\n}\n"
        for name, keys in {"disk": ["path", "volatile.*.size"], "dir_pool": ["source", "volume.stripes"], "volume": ["size"]}.items()),
}


class CheckCompatibility(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name, text in SOURCES.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)

    def test_routes(self):
        answered = check.routes(self.root)
        self.assertEqual(check.missing(self.root, answered), [("GET", "/1.0"), ("PUT", "/1.0/things/…/xyz")])

    def test_extensions(self):
        self.assertEqual(check.silent(self.root), ["first", "third"])
        (self.root / "lib/server/api_extensions.cpp").write_text('    "of_a_later_lxd",\n')
        self.assertRaises(SystemExit, check.silent, self.root)

    def test_keys(self):
        self.assertEqual(check.groups(self.root)[2:], ["| device `proxy` | `bind` |", "| device `disk` | `other` |",
                                                       "| storage volume, dir | `new` |"])


if __name__ == "__main__":
    unittest.main()
