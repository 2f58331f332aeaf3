#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The check of the headers itself: what it asks for, and what it lets pass."""
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from check_headers import Header  # noqa: E402


def in_class(*lines, comment="/// Thread-safe."):
    return "\n".join([comment, "class LXDCORE_API C {", "public:", *("    " + line for line in lines), "};"])


class CheckHeaders(unittest.TestCase):
    def complains(self, text, *words):
        problems = Header("h.hpp", text).problems
        self.assertEqual(len(problems), len(words), problems)
        for problem, word in zip(problems, words):
            self.assertIn(word, problem)

    def test_each_function_has_a_comment(self):
        self.complains(in_class("/// Says so.", "void a();", "void b(); ///< so does this", "void c();"), "void c()")
        self.complains(in_class("/// One.", "virtual int a(int x,", "              int y) const = 0;", "int b() const;"), "int b()")
        self.complains(in_class("/// Lost behind a line.", "", "void a();"), "void a()")
        self.complains(in_class("// no documentation", "void a();"), "void a()")

    def test_a_comment_on_several(self):
        self.complains(in_class("/// Both of these throw.", "void a();", "void b();"))
        self.complains(in_class("/// Both of these throw.", "void a();", "", "void b();"), "void b()")
        self.complains(in_class("/// Both of these throw.", "void a();", "/// Another.", "void b();", "void c();"), "void c()")

    def test_a_word_on_threads(self):
        self.complains(in_class("/// One.", "void a();", comment="/// Something."), "class C: no word on threads")
        self.complains(in_class("int a = 0;", "std::function<void()> f;", comment="/// Only data."))
        self.complains("/// One.\nvoid f();", "free functions")
        self.complains("/// One. Reentrant.\nvoid f();")

    def test_what_speaks_for_itself(self):
        self.complains(in_class("virtual ~C();", "C(const C&) = delete;", "C& operator=(const C&) = default;", "using F = int(int);"))
        self.complains(in_class("int a{1};", "std::map<int, int> b = {};", "/// One.", "void c();").replace("};", "private:\n    void d();\n};", 1))
        self.complains("class C {\n    void hidden();\n};\nenum class E { A, B };\nnamespace n {\nstruct S;\n}")

    def test_bodies(self):
        self.complains(in_class("/// One.", "explicit C(int a, int b = {}) : a_{f(a)}, b_{b} {}", "int c() const { return g(a_); }"), "int c()")
        self.complains(in_class("/// One.", "void a() {", "    if (x) { y(); }", "}", "struct D {", "    void e();", "};"),
                       "void e()", "struct D")


if __name__ == "__main__":
    unittest.main()
