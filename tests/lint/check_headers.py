#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Comments of the installed headers.

Each public function has a `///` above it or a `///<` behind it. A comment that speaks of several (these, each, both) also
holds for the functions that follow without a blank line or another comment. Each class with functions says how threads
may use it, and so does each header with free ones. Destructors and what is defaulted or deleted speak for themselves.

    check_headers.py [ROOT]
"""
import pathlib
import re
import sys

THREADS = re.compile(r"\b(thread-safe|thread-bound|reentrant|immutable|a value)\b", re.I)
SEVERAL = re.compile(r"\b(these|each|both)\b", re.I)
SCOPE = re.compile(r"^(?:typedef )?(namespace|class|struct|enum)\b(?:\s+LXDCORE_API)?\s*([\w:]*)")
FREE = re.compile(r"= (default|delete)$|~|^(using|friend|typedef|LXDCORE_API_JSON)\b")
MEMBERS = re.compile(r"\)\s*:\s*\w+\{[^{}]*\}(?:,\s*\w+\{[^{}]*\})*\s*\{")  # that a constructor sets


def is_function(statement):
    plain = statement
    while re.search(r"<[^<>]*>", plain):
        plain = re.sub(r"<[^<>]*>", "", plain)
    return re.search(r"[\w=]\s*\(", plain.split(" = ")[0]) is not None and not FREE.search(statement)


class Header:
    def __init__(self, name, text):
        self.name, self.problems = name, []
        self.scopes = []  # [kind, name, comment, whether public, whether it has functions]
        self.comment, self.group, self.free = "", "", False
        self.code, self.skip, self.parens = "", 0, 0
        text = re.sub(r"^#(?:.*\\\n)*.*$", "", text, flags=re.M)
        text = MEMBERS.sub(lambda match: ") {" + "\n" * match[0].count("\n"), text)
        for number, line in enumerate(text.splitlines(), 1):
            self.line(number, line)
        if self.free and not THREADS.search(text):
            self.problems.append(f"{name}: free functions, and no word on threads")

    def line(self, number, line):
        code, _, comment = line.partition("//")
        if not code.strip() and not self.code.strip() and not self.skip:
            if comment.startswith("/"):
                self.comment += comment
            else:  # a blank line, or a heading
                self.comment = ""
            self.group = ""
            return
        for char in code:
            self.step(number, char, comment.startswith("/<"))
        self.code += " "

    def step(self, number, char, behind):
        if self.skip:  # in the body of a function, or in the value of a member
            self.skip += (char == "{") - (char == "}")
            return
        self.parens += (char == "(") - (char == ")")
        statement = " ".join(self.code.split())
        if char == ":" and statement in ("public", "private", "protected"):
            self.scopes[-1][3] = statement == "public"
            self.code = ""
        elif self.parens or char not in "{};":
            self.code += char
        else:
            self.end(number, char, statement, behind)

    def end(self, number, char, statement, behind):
        self.code = ""
        scope = SCOPE.match(statement)
        if char == "}":
            if self.scopes:
                self.close(number)
        elif char == "{" and scope:
            self.scopes.append([scope[1], scope[2], self.comment, scope[1] != "class", False])
            self.comment = self.group = ""
        else:
            if not scope and is_function(statement):
                self.function(number, statement, behind)
            self.comment = ""
            if char == "{":
                self.skip = 1
                if not is_function(statement):
                    self.code = statement  # of a member, up to its semicolon

    def function(self, number, statement, behind):
        inner = [scope for scope in self.scopes if scope[0] != "namespace"]
        if not all(scope[3] for scope in inner):
            return
        if inner:
            inner[-1][4] = True
        else:
            self.free = True
        if self.comment:
            self.group = self.comment if SEVERAL.search(self.comment) else ""
        elif not behind and not self.group:
            self.problems.append(f"{self.name}:{number}: no comment: {statement[:90]}")

    def close(self, number):
        kind, name, comment, _, functions = self.scopes.pop()
        self.comment = self.group = ""
        if kind in ("class", "struct") and functions and not THREADS.search(comment):
            self.problems.append(f"{self.name}:{number}: {kind} {name}: no word on threads")


def main(argv):
    root = pathlib.Path(argv[0] if argv else pathlib.Path(__file__).parents[2]) / "lib/include"
    headers = sorted(root.rglob("*.hpp"))
    problems = [problem for file in headers
                for problem in Header(str(file.relative_to(root)), file.read_text(encoding="utf-8")).problems]
    print("\n".join(problems) or f"headers: {len(headers)} say what they offer")
    return 1 if problems or not headers else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
