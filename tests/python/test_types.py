# SPDX-License-Identifier: Apache-2.0
"""The package's types and descriptions are complete."""
import ast
import inspect
import pathlib
import re
import shutil
import subprocess

import pytest

import lxdcore
from lxdcore import _lxdcore

from conftest import ROOT

PACKAGE = ROOT / "bindings" / "python" / "lxdcore"


def test_mypy_finds_nothing():
    if not shutil.which("mypy"):
        pytest.skip("needs mypy")
    examples = sorted(map(str, (ROOT / "examples" / "python").glob("*.py")))
    assert examples
    result = subprocess.run(["mypy", "--strict", "--no-error-summary", "--cache-dir=/dev/null", str(PACKAGE), *examples],
                            capture_output=True, text=True, cwd=PACKAGE.parent)
    assert result.stdout == "" and result.returncode == 0, result.stdout + result.stderr


def members(tree):
    return {node.name: node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


def functions(value):
    """Methods of a class of the module by name, with the names of their parameters as pybind11 tells them."""
    for name, member in vars(value).items():
        if callable(member) and (name == "__init__" or not name.startswith("_")):
            signature = member.__doc__.splitlines()[0]
            if name == "__init__" and not signature.startswith(name):
                continue  # what nobody can make
            assert signature.startswith(name + "("), signature
            yield name, re.findall(r"[(,] ?(\w+): ", signature.rpartition(" -> ")[0])


def parameters(node):
    return [argument.arg for argument in node.args.posonlyargs + node.args.args + node.args.kwonlyargs]


def test_the_stubs_are_those_of_the_module():
    stubs = members(ast.parse((PACKAGE / "_lxdcore.pyi").read_text()))
    backend = members(stubs.pop("_Backend"))
    for name, value in vars(_lxdcore).items():
        if name.startswith("__"):
            continue
        assert name in stubs, name
        if issubclass(value, Exception):
            continue
        told = {**members(stubs[name]), **(backend if name in ("Core", "Client") else {})}
        there = {member for member in vars(value) if not member.startswith("_")}
        assert set(told) - {"__init__"} == there, name
        for method, names in functions(value):
            if method in told:
                assert names[1:] == parameters(told[method])[1:], f"{name}.{method}"
    assert set(stubs) == {name for name in vars(_lxdcore) if not name.startswith("__")}


def test_everything_of_the_module_is_described():
    for name, value in vars(_lxdcore).items():
        if name.startswith("__"):
            continue
        assert value.__doc__, name
        if issubclass(value, Exception):
            continue
        for member, what in vars(value).items():
            if isinstance(what, property):
                assert what.__doc__, f"{name}.{member}"
            elif callable(what) and not member.startswith("_"):
                # After pybind11's own line.
                assert len(what.__doc__.strip().splitlines()) > 1, f"{name}.{member}"
    for name in ("Core", "Client"):
        assert len(getattr(_lxdcore, name).__init__.__doc__.strip().splitlines()) > 1, name


def test_everything_public_is_described():
    for name in lxdcore.__all__:
        value = getattr(lxdcore, name)
        if not inspect.isclass(value) or issubclass(value, Exception):
            continue
        assert value.__doc__, name
        for member, what in vars(value).items():
            if not member.startswith("_") and (callable(what) or isinstance(what, property)):
                assert what.__doc__, f"{name}.{member}"


def test_times_are_read_with_their_zone():
    from lxdcore._operation import parse_time

    assert parse_time("0001-01-01T00:00:00Z") is None and parse_time("") is None
    assert parse_time("2026-01-02T03:04:05.123456789Z").microsecond == 123456
    assert parse_time("2026-01-02T03:04:05Z").utcoffset().total_seconds() == 0
    assert parse_time("2026-01-02T03:04:05.5+01:00").utcoffset().total_seconds() == 3600
    assert parse_time("2026-01-02T03:04:05-02:30").utcoffset().total_seconds() == -9000


def test_the_package_says_that_it_has_types():
    assert (pathlib.Path(lxdcore.__file__).parent / "py.typed").exists()


def test_every_error_says_what_it_is():
    for name in dir(lxdcore):
        value = getattr(lxdcore, name)
        if isinstance(value, type) and issubclass(value, Exception):
            assert value.__doc__ and issubclass(value, lxdcore.Error), name
