#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The layer check itself: each rule finds its breach and lets the good form pass."""
import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from check_layers import SPDX, Checker  # noqa: E402

HEAD = f"// {SPDX}\n"


class CheckLayers(unittest.TestCase):
    def problems(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in {"lib/util/a.hpp": HEAD, "lib/network/n.hpp": HEAD, "lib/db/d.hpp": HEAD, **files}.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
            checker = Checker(root)
            with contextlib.redirect_stdout(io.StringIO()):
                checker.run()
            return checker.problems

    def breaks(self, name, text, word):
        found = self.problems({name: HEAD + text})
        self.assertTrue(any(word in line for line in found), found)

    def passes(self, name, text):
        self.assertEqual(self.problems({name: HEAD + text}), [])

    def test_upward_includes(self):
        self.breaks("lib/util/b.cpp", '#include "network/n.hpp"\n', "not to its left")
        self.breaks("lib/storage/s.cpp", '#include "network/n.hpp"\n', "not to its left")
        self.breaks("lib/helper/h.cpp", '#include "db/d.hpp"\n', "not to its left")
        self.passes("lib/network/b.cpp", '#include "util/a.hpp"\n#include "network/n.hpp"\n')

    def test_users_take_installed_headers_only(self):
        self.breaks("daemon/main.cpp", '#include "util/a.hpp"\n', "installed headers")
        self.breaks("examples/cpp/x.cpp", '#include "db/d.hpp"\n', "installed headers")
        self.passes("daemon/main.cpp", "#include <lxdcore/core.hpp>\n")

    def test_third_party(self):
        self.breaks("lib/network/x.cpp", "#include <SQLiteCpp/SQLiteCpp.h>\n", "may be included only")
        self.breaks("lib/include/lxdcore/x.hpp", "#include <nlohmann/json.hpp>\n", "json_fwd")
        self.breaks("lib/include/lxdcore/x.hpp", '#include "util/a.hpp"\n', "installed header")
        self.passes("lib/db/sqlite/x.cpp", "#include <SQLiteCpp/SQLiteCpp.h>\n")

    def test_paths(self):
        self.breaks("lib/network/x.cpp", 'int f = ::open("/x", O_RDONLY);\n', "R1")
        self.breaks("lib/network/x.cpp", "std::ifstream in{name};\n", "R1")
        self.breaks("lib/network/x.cpp", "std::filesystem::remove_all(p);\n", "R1")
        self.passes("lib/network/x.cpp", '// ::open("/x", O_RDONLY)\nauto f = dir.open_file("x", O_RDONLY);\n')

    def test_exemptions_are_narrow_and_needed(self):
        mark = "::close(::open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));\n"
        self.passes("lib/helper/monitor_hook.cpp", mark)
        self.breaks("lib/helper/monitor_hook.cpp", mark + mark, "R1")
        self.breaks("lib/helper/monitor_hook.cpp", mark + '::unlink("/x");\n', "R1")
        self.breaks("lib/helper/monitor_hook.cpp", "int x;\n", "nothing needs")
        self.breaks("lib/helper/guest_entry.cpp", "int x;\n", "nothing needs")

    def test_shell(self):
        self.breaks("daemon/x.cpp", 'int r = system("true");\n', "R6")
        self.breaks("daemon/x.cpp", 'spawn({"/bin/sh", "x"});\n', "R6")

    def test_wall_clock(self):
        self.breaks("lib/operation/x.cpp", "auto end = std::chrono::system_clock::now() + timeout;\n", "R59")
        self.breaks("daemon/x.cpp", "const auto now = std::time(nullptr);\n", "R59")
        self.passes("lib/operation/x.cpp", "auto end = std::chrono::steady_clock::now() + timeout;\n")
        self.passes("lib/api/types.cpp", "auto now = std::chrono::system_clock::now();\n")

    def test_licence_line(self):
        self.assertTrue(any("SPDX" in line for line in self.problems({"lib/util/c.cpp": "int x;\n"})))


if __name__ == "__main__":
    unittest.main()
