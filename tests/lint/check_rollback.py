#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A step of a Rollback runs when what was declared after the Rollback is gone: it may hold that by value only.

    check_rollback.py [ROOT]

Goes by the project's formatting; a step is what `undo.add([…] …)` gets.
"""
import pathlib
import re
import sys

BEGIN = re.compile(r"^( *)Rollback (\w+)(?:;|\{)")
DECLARATION = re.compile(r"^ *(?:const )?(?:auto|bool|int|std::[\w:<>, ]+|[A-Z]\w+(?:::\w+)*(?:<[^;=]*>)?)[&*]? "
                         r"(?:\[([\w, ]+)\]|(\w+)) ?(?:=|\{|\(|;)")


def indent(line):
    return len(line) - len(line.lstrip())


def step(lines, at):
    """The text of the call that begins in this line."""
    text, depth = "", 0
    for line in lines[at:]:
        text += line + "\n"
        depth += line.count("(") - line.count(")")
        if depth <= 0:
            return text
    return text


def problems(text):
    """(line, name) of each step that holds a later name by reference."""
    lines = text.splitlines()
    for first, line in enumerate(lines):
        if not (begin := BEGIN.match(line)):
            continue
        depth, rollback, later = len(begin[1]), begin[2], set()
        for at in range(first + 1, len(lines)):
            line = lines[at]
            if line.strip().startswith("}") and indent(line) < depth:
                break
            if (found := DECLARATION.match(line)) and not re.match(r" *(?:return|throw) ", line):
                later |= {name.strip() for name in (found[1] or found[2]).split(",")}
            if add := re.search(rf"\b{rollback}\.add\(\[([^\]]*)\]", line):
                body = step(lines, at).split("]", 1)[1]
                own = {name for name in later if re.search(rf"(?:auto|auto&) {name}\b", body)}
                held = {name for name in later - own if re.search(rf"(?<![\w.>]){name}\b", body)}
                by_value = set(re.findall(r"(?:^|, ?)(\w+)(?= ?(?:,|=|$))", add[1]))
                yield from ((at + 1, name) for name in sorted(held - by_value) if "&" in add[1])


SELF_TEST = """
    Rollback undo;
    const auto staged = driver.stage(as);
    undo.add([&] { driver.discard(staged); });
    undo.add([&, staged] { driver.discard(staged); });
    undo.add([&] {
        const auto staged = find();
        driver.discard(staged);
    });
}
"""


def main(argv):
    root = pathlib.Path(argv[0] if argv else pathlib.Path(__file__).parents[2])
    assert list(problems(SELF_TEST)) == [(4, "staged")], list(problems(SELF_TEST))
    count = 0
    for file in sorted(path for top in ("lib", "daemon", "bindings") for path in (root / top).rglob("*.?pp")):
        for line, name in problems(file.read_text(encoding="utf-8")):
            print(f"{file.relative_to(root)}:{line}: {name} is gone when this step runs: hold it by value")
            count += 1
    print(f"rollback: {count} problems")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
