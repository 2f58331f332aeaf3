#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the structure of the sources that a compiler does not hold.

    check_layers.py [ROOT]

* an area of lib/ includes only itself and areas to its left (LAYERS);
* a third-party library is included only where docs/architecture.md allows it (THIRD_PARTY);
* daemon, bindings and examples use the installed headers, <lxdcore/...>, and their own only;
* paths are opened in util/dir.cpp only (OPENERS lists the exceptions with their reasons);
* no shell is ever started; every source begins with its SPDX line.
"""
import pathlib
import re
import sys

# Rows from left to right; areas in one row may not include each other.
LAYERS = [["util"], ["api"], ["config", "system"], ["event", "resources", "db", "client"], ["operation"],
          ["project", "server"], ["storage", "network"], ["image", "device"], ["instance"], ["core"]]
RANK = {area: rank for rank, row in enumerate(LAYERS) for area in row}
# Not in the line: what they may include.
SPECIAL = {"helper": {"util", "api", "system"}}
# Contracts that several areas of one row share; each is a plain header without code of its area.
ROW_EXCEPTIONS: dict[tuple[str, str], str] = {}

# First path component (or whole name) of an include -> places, as prefixes of the path from the root.
THIRD_PARTY = {
    "lxc": ["lib/instance/lxc/", "lib/helper/", "tests/"],
    "cpprest": ["lib/client/"],
    "pplx": ["lib/client/"],
    "boost": ["daemon/http/", "daemon/devlxd/", "daemon/routes/", "daemon/admin/", "lib/client/", "tests/"],
    "yaml-cpp": ["lib/util/yaml", "lib/api/yaml"],
    "openssl": ["lib/util/tls", "lib/util/hash", "lib/util/secure_text", "lib/util/x509", "lib/client/dialer", "lib/client/tls_files",
                "daemon/", "tests/"],
    "SQLiteCpp": ["lib/db/sqlite/"],
    "sqlite3.h": ["lib/db/sqlite/"],
    "spdlog": ["lib/util/log", "daemon/"],
    "archive.h": ["lib/image/", "lib/instance/", "lib/helper/", "tests/"],
    "archive_entry.h": ["lib/image/", "lib/instance/", "lib/helper/", "tests/"],
    "netlink": ["lib/system/", "lib/network/"],
    "nftables": ["lib/network/"],
    "btrfsutil.h": ["lib/storage/drivers/btrfs/"],
    "seccomp.h": ["lib/system/", "lib/device/", "lib/helper/", "lib/instance/lxc/"],
    "libudev.h": ["lib/system/", "lib/device/"],
    "CLI": ["daemon/", "client/", "examples/"],
    "pybind11": ["bindings/"],
    "doctest": ["tests/"],
    "benchmark": ["tests/bench/"],
}
OPENERS = {
    "lib/util/dir.cpp": "the library of confined paths itself",
    "lib/storage/file_copy.cpp": "single names below held descriptors, O_NOFOLLOW",
    "lib/system/pid_namespace.cpp": "a magic link of a process held by pidfd, below a held descriptor",
    "lib/storage/idmap_probe.cpp": "/proc of its own child",
    # The helper has its own, as small as can be: it links nothing but libc.
    "lib/helper/exec_child.cpp": "cwd by openat2 in the guest's root; /proc/self and cgroup files",
    "lib/helper/file_put.cpp": "single names below a directory that guest_root resolved, O_NOFOLLOW",
    "lib/helper/guest_process.cpp": "/proc of a process held by pidfd",
    "lib/helper/guest_root.cpp": "openat2 in the guest's root: the helper's library of confined paths",
    "lib/helper/guest_terminal.cpp": "openat2 in the guest's /dev",
    "lib/helper/verb_exec.cpp": "the container's cgroup, below a held descriptor",
    "lib/helper/guest_entry.cpp": "its own root and /proc/self/fd",
    "lib/helper/calling_process.cpp": "/proc of a process held by pidfd",
    "lib/helper/verb_intercept.cpp": "what a process of a guest could open itself, as itself; /proc and /sys",
    "lib/instance/intercept/bpf_call.cpp": "up from a held cgroup",
    "lib/instance/intercept/caller_memory.cpp": "/proc of a process that waits for our answer",
    "lib/helper/verb_mount.cpp": "its own root, /proc/self/fd, namespaces of a process held by pidfd",
    "lib/helper/verb_receive.cpp": "three names of its own in a held, empty directory",
    "lib/helper/unpack_squashfs.cpp": "an empty tmpfs of the cage's own",
    "lib/helper/verb_unpack.cpp": "/proc of its own child",
    "lib/helper/tree_writer.cpp": "openat2 below the tree that it unpacks into",
    "daemon/http/unix_socket.cpp": "its socket, made in a private directory and renamed",
    "daemon/http/spool.cpp": "O_TMPFILE in a private directory",
    "daemon/admin/api_client.cpp": "the daemon's socket",
    "daemon/admin/init_auto.cpp": "/sys/class/net",
    "daemon/admin/lifecycle.cpp": "whether the state directory is in use",
    "daemon/run.cpp": "where its own program file is",
    "lib/client/local_files.cpp": "files that the user of a client names",
    "lib/client/tls_files.cpp": "certificates and the socket that the user of a client names",
    "lib/util/dir_remove.cpp": "the library of confined paths itself",
    "lib/util/helper_program.cpp": "the installed program, named by the administrator",
}
# One line each of a file that opens nothing else.
OPENER_LINES = {
    ("lib/storage/drivers/dir/project_quota.cpp",
     "const UniqueFd file{::open(proc.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME | O_CLOEXEC)};"):
        "the very inode that a descriptor below a confined directory holds",
    ("lib/helper/monitor_hook.cpp", "::close(::open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));"):
        "the post-stop hook's mark, an absolute path that the daemon wrote into lxc.conf",
}
# Folders whose business is not a tree that somebody else can write to.
OPENER_FOLDERS = {
    "tests/": "scratch folders of the tests",
    "examples/": "programs of users",
}
# Names of paths as values (joining, taking apart) are fine; these touch the file system.
TOUCHING = re.compile(
    r"(?<![\w>])::(?:open|open64|creat|openat|openat2|opendir|realpath|mkdir|unlink|rename|rmdir|symlink|link|truncate)\s*\("
    r"|(?<![\w.>:])(?:creat|fopen|freopen|openat|openat2|opendir|fts_open|nftw|realpath|canonicalize_file_name)\s*\("
    r"|(?<!Dir::)\bopen\s*\([^;]*\bO_[A-Z]|\bstd::[io]?fstream\b|SYS_openat2?\b"
    r"|\b(?:std::filesystem|fs)::(?:exists|is_\w+|create_\w+|remove\w*|rename|copy\w*|canonical|weakly_canonical|"
    r"read_symlink|status|symlink_status|permissions|resize_file|(?:recursive_)?directory_iterator|directory_entry|"
    r"file_size|last_write_time|space|temp_directory_path)\b")
SHELL = re.compile(r"(?<![\w.>:])(?:::|std::)?(?:system|popen)\s*\(\s*[^)\s]|\"(?:/usr)?/bin/(?:ba|da)?sh\"|\"-c\"")
WALL_CLOCK = re.compile(r"\bsystem_clock\b|\bCLOCK_REALTIME\b|\bstd::time\s*\(|::time\s*\(\s*(?:nullptr|NULL|0)|\bgettimeofday\b")
# Dates that are shown or kept; how long something takes is measured on the monotonic clock (R59).
WALL_CLOCK_FILES = {"lib/api/types.cpp", "lib/helper/sftp_handles.cpp", "lib/instance/log_expiry.hpp", "lib/instance/log_expiry.cpp",
                    "lib/instance/manager_adopt.cpp", "lib/util/cron.hpp", "lib/util/cron.cpp",
                    "lib/util/minute_timer.cpp", "lib/util/go_time.hpp", "lib/util/go_time.cpp",
                    "lib/util/snapshot_name.hpp", "lib/util/snapshot_name.cpp", "lib/util/template_engine.hpp",
                    "lib/util/template_engine.cpp", "lib/instance/manager_snapshots.cpp", "daemon/logging.cpp", "daemon/auth/authorizer.cpp",
                    "daemon/routes/metrics.cpp"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCES = {".cpp", ".hpp", ".h", ".c", ".py", ".sh"}
SPDX = "SPDX-License-Identifier: Apache-2.0"


def strip_comments(text: str) -> str:
    """C++ text without comments, line numbers kept; strings stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*"|R"(\w*)\(.*?\)\2")', re.S)
    return pattern.sub(lambda m: m.group(1) or "\n" * m.group(0).count("\n"), text)


class Checker:
    def __init__(self, root: pathlib.Path):
        self.root = root
        self.problems: list[str] = []

    def report(self, path: str, line: int, text: str) -> None:
        self.problems.append(f"{path}:{line}: {text}")

    def area_of(self, path: str) -> str | None:
        parts = pathlib.PurePosixPath(path).parts
        if len(parts) > 2 and parts[0] == "lib" and (parts[1] in RANK or parts[1] in SPECIAL):
            return parts[1]
        return None

    def check_include(self, path: str, line: int, kind: str, name: str) -> None:
        first = name.split("/", 1)[0]
        if first in THIRD_PARTY and not (kind == '"' and (self.root / path).parent.joinpath(name).exists()):
            if not any(path.startswith(place) for place in THIRD_PARTY[first]):
                self.report(path, line, f"<{name}> may be included only in {', '.join(THIRD_PARTY[first])}")
            return
        if path.startswith("lib/include/"):
            if kind == '"':
                self.report(path, line, f'an installed header includes "{name}"; only std, lxdcore/ and json_fwd')
            elif name.startswith("nlohmann/") and name != "nlohmann/json_fwd.hpp":
                self.report(path, line, f"an installed header includes <{name}> instead of json_fwd.hpp")
            return
        target = first if "/" in name and (first in RANK or first in SPECIAL) else None
        if target and (self.root / "lib" / name).exists():
            self.check_area(path, line, target, name)

    def check_area(self, path: str, line: int, target: str, name: str) -> None:
        if path.startswith(("daemon/", "bindings/", "examples/", "client/")):
            if not (self.root / path).parent.joinpath(name).exists() and not (self.root / path.split("/")[0] / name).exists():
                self.report(path, line, f'"{name}": only installed headers <lxdcore/...> here')
            return
        area = self.area_of(path)
        if area is None or area == target or (area, target) in ROW_EXCEPTIONS:
            return
        if area in SPECIAL:
            allowed = target in SPECIAL[area]
        else:
            allowed = target in RANK and RANK[target] < RANK[area]
        if not allowed:
            self.report(path, line, f'{area} may not include "{name}": {target} is not to its left')

    def check_text(self, path: str, text: str) -> None:
        opener = path in OPENERS or any(path.startswith(folder) for folder in OPENER_FOLDERS)
        needed = {place for place in OPENER_LINES if place[0] == path}
        touches = False
        for number, line in enumerate(strip_comments(text).split("\n"), 1):
            include = INCLUDE.match(line)
            if include:
                self.check_include(path, number, include.group(1), include.group(2))
                continue
            touching = TOUCHING.search(line) is not None
            touches = touches or touching
            if (path, line.strip()) in needed:
                needed.remove((path, line.strip()))
            elif not opener and touching:
                self.report(path, number, "opens or walks a path outside util/dir.cpp (R1): " + line.strip()[:80])
            if path.startswith(("lib/", "daemon/", "client/")) and path not in WALL_CLOCK_FILES and WALL_CLOCK.search(line):
                self.report(path, number, "reads the wall clock (R59): " + line.strip()[:80])
            if path.startswith(("lib/", "daemon/", "client/")) and SHELL.search(line):
                self.report(path, number, "starts a shell (R6): " + line.strip()[:80])
        if needed or (path in OPENERS and not touches):
            self.report(path, 1, "an exemption from R1 that nothing needs any more")

    def check_file(self, path: str) -> None:
        file = self.root / path
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix in SOURCES or file.name == "meson.build":
            if SPDX not in "\n".join(text.split("\n")[:3]):
                self.report(path, 1, "no SPDX line at the top")
        if file.suffix in {".cpp", ".hpp", ".h", ".c"}:
            self.check_text(path, text)

    def run(self) -> int:
        count = 0
        for folder in ("lib", "daemon", "bindings", "client", "examples", "tests"):
            for file in sorted((self.root / folder).rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    self.check_file(file.relative_to(self.root).as_posix())
                    count += 1
        for problem in self.problems:
            print(problem)
        print(f"layers: {count} files, {len(self.problems)} problems")
        return 1 if self.problems else 0


if __name__ == "__main__":
    sys.exit(Checker(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])).run())
