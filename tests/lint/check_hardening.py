#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds how programs and libraries are built (R60): position independent, read-only relocations bound at start, no
executable stack, stack protector, fortified functions (optimised builds), marks for control-flow enforcement, no setuid
bit, no search path for libraries that somebody else could write to.

    check_hardening.py FILE…
"""
import os
import re
import stat
import subprocess
import sys

ENDBR64 = bytes.fromhex("f30f1efa")


def readelf(option: str, path: str) -> str:
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True).stdout


def problems_of(path: str) -> list[str]:
    problems = []
    header, segments, dynamic, symbols = (readelf(o, path) for o in ("-h", "-l", "-d", "--dyn-syms"))
    if not re.search(r"Type:\s+DYN", header):
        problems.append("not position independent")
    if "GNU_RELRO" not in segments or "BIND_NOW" not in dynamic:
        problems.append("relocations stay writable")
    if not re.search(r"GNU_STACK.*\sRW\s", segments):
        problems.append("executable stack")
    if re.search(r"LOAD.*\sRWE\s", segments):
        problems.append("memory that is writable and executable")
    if "TEXTREL" in dynamic:
        problems.append("relocations in code")
    if "__stack_chk_fail" not in symbols:
        problems.append("no stack protector")
    optimised = os.environ.get("LXDCORE_OPTIMISED") == "1"
    if optimised and not re.search(r"__\w+_chk\b", symbols.replace("__stack_chk_fail", "")):
        problems.append("nothing is fortified")
    for match in re.finditer(r"\((?:RPATH|RUNPATH)\).*\[(.*)\]", dynamic):
        if any(not part.startswith("$ORIGIN") for part in match[1].split(":")):
            problems.append(f"libraries are searched in {match[1]}")
    with open(path, "rb") as file:
        if "X86-64" in header and file.read().count(ENDBR64) < 50:
            problems.append("no marks for control-flow enforcement")
    if os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID):
        problems.append("setuid or setgid")
    return problems


def main() -> int:
    failed = 0
    for path in sys.argv[1:]:
        for problem in problems_of(path):
            print(f"{path}: {problem}")
            failed += 1
    print(f"hardening: {len(sys.argv) - 1} files, {failed} problems")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
