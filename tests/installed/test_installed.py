# SPDX-License-Identifier: Apache-2.0
"""What `meson install` leaves is enough for others: headers, pkg-config, CMake, examples, Python, manual page."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LXDCORE_BUILD", ROOT / "build"))
sys.path.insert(0, str(ROOT / "tests" / "support"))

from daemons import Daemon, cached_busybox  # noqa: E402


def run(*command, check=True, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=900, **options)
    assert not check or result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result


class Installed:
    """A staging root, and an environment in which compilers find what is in it."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir", self.root)
        [pkgconfig] = self.root.rglob("lxdcore.pc")
        self.prefix = self.root / re.search(r"^prefix=/(.*)$", pkgconfig.read_text(), re.M)[1]
        [library] = self.root.rglob("liblxdcore.so")
        self.libdir = library.parent
        [self.helper] = self.root.rglob("lxdcore-helper")
        self.env = {**os.environ, "PKG_CONFIG_PATH": str(pkgconfig.parent), "PKG_CONFIG_SYSROOT_DIR": str(self.root),
                    "LD_LIBRARY_PATH": str(self.libdir), "LXDCORE_HELPER": str(self.helper),
                    "CMAKE_PREFIX_PATH": str(self.prefix)}
        for name in ("LXD_DIR", "LXD_SOCKET"):
            self.env.pop(name, None)


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    return Installed(tmp_path_factory.mktemp("staging"))


@pytest.fixture(scope="session", params=["meson", "cmake"])
def examples(request, installed, tmp_path_factory):
    """The examples as a program elsewhere builds them."""
    source, build = tmp_path_factory.mktemp("examples"), tmp_path_factory.mktemp(request.param)
    shutil.copytree(ROOT / "examples" / "cpp", source, dirs_exist_ok=True)
    if request.param == "meson":
        run("meson", "setup", "-Dbuildtype=debug", build, source, env=installed.env)
        run("ninja", "-C", build, env=installed.env)
    else:
        run("cmake", "-S", source, "-B", build, "-G", "Ninja", env=installed.env)
        run("cmake", "--build", build, env=installed.env)
    return build


@pytest.fixture
def state_dir():
    with tempfile.TemporaryDirectory(prefix="lxdcore-installed-") as path:
        os.chmod(path, 0o711)
        yield pathlib.Path(path) / "lxd"


@pytest.fixture(scope="session")
def image():
    return cached_busybox()


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_each_header_compiles_alone(installed, tmp_path):
    include = installed.prefix / "include"
    headers = sorted(path.relative_to(include) for path in (include / "lxdcore").rglob("*.hpp"))
    assert len(headers) > 15
    failed = []
    for header in headers:
        source = tmp_path / "one.cpp"
        source.write_text(f"#include <{header}>\n#include <{header}>\nint main() {{}}\n")
        result = run("g++", "-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{include}", source,
                     check=False)
        if result.returncode != 0:
            failed.append(f"{header}: {result.stderr[:500]}")
    assert not failed


def test_the_library_shows_its_own_names_only(installed):
    names = run("nm", "-D", "--defined-only", "-C", installed.libdir / "liblxdcore.so").stdout.splitlines()
    ours = [line.split(" ", 2)[2] for line in names]
    strange = [name for name in ours if "lxdcore::" not in name and not name.startswith(("std::", "void std::"))]
    internal = [name for name in ours if re.match(r"lxdcore::(?:db|storage|network|instance|image|device|client)::", name)]
    assert not internal, internal[:10]
    assert not strange, strange[:20]


def test_the_library_has_a_name_for_its_interface(installed):
    assert "[liblxdcore.so.0]" in run("readelf", "-d", installed.libdir / "liblxdcore.so").stdout


@needs_root
def test_a_program_launches_a_container(installed, examples, state_dir, image):
    result = run(examples / "launch_and_exec", state_dir, image, env=installed.env)
    assert re.match(r"Hello from example-\d+, process \d+\n", result.stdout)


@needs_root
def test_ten_jobs_run_in_ten_containers(installed, examples, state_dir, image):
    command = ["sh", "-c", "echo job $JOB on $(hostname); test $JOB != 7"]
    result = run(examples / "ci_runner", state_dir, image, "-j", "10", "-n", "10", *command, env=installed.env,
                 check=False)
    assert result.returncode == 1 and "10 jobs, 1 failed" in result.stdout, result.stdout + result.stderr
    assert len(set(re.findall(r"job (\d+) on ci-", result.stdout))) == 10


@pytest.fixture(scope="module")
def daemon(image):
    daemon = Daemon(name="installed").start()
    api = daemon.api
    api.run("POST", "/1.0/storage-pools", {"name": "default", "driver": "dir"})
    yield daemon
    left = daemon.stop()
    daemon.destroy()
    assert not left


@needs_root
def test_a_client_lists_and_watches(installed, examples, daemon):
    watcher = subprocess.Popen([examples / "watch_events", "-n", "1", daemon.socket], env=installed.env, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert watcher.stderr.readline() == "watching\n"
    daemon.api.run("POST", "/1.0/profiles", {"name": "seen"})
    out, _ = watcher.communicate(timeout=60)
    assert "profile-created /1.0/profiles/seen" in out
    daemon.api.run("DELETE", "/1.0/profiles/seen")
    assert run(examples / "remote_client", daemon.socket, env=installed.env).stdout == ""
    result = run(examples / "remote_client", daemon.socket, "--", "absent", "ls", env=installed.env, check=False)
    assert result.returncode == 1 and "Instance not found" in result.stderr


def test_python_finds_the_package(installed):
    [module] = installed.root.rglob("lxdcore/__init__.py")
    env = {**installed.env, "PYTHONPATH": str(module.parent.parent)}
    run(sys.executable, "-c", "import lxdcore; lxdcore.Client('/nowhere')", env=env)
    assert (module.parent / "py.typed").exists() and (module.parent / "_lxdcore.pyi").exists()


def test_the_manual_page_and_completions_name_every_command(installed):
    help_text = run(BUILD / "daemon" / "lxdcored", "--help").stdout
    verbs = re.findall(r"^  ([a-z]+) ", help_text.split("Subcommands:")[1], re.M)
    assert "shutdown" in verbs
    for name in ("lxdcored.8", "lxdcored", "_lxdcored", "lxdcored.fish"):
        [file] = [path for path in installed.root.rglob(name) if path.parent.name != "sbin"]
        assert all(verb in file.read_text() for verb in verbs), name
    [page] = installed.root.rglob("lxdcored.8")
    if shutil.which("man"):
        assert run("man", "--warnings=all", "-l", page, env={**os.environ, "MANWIDTH": "80"}).stderr == ""


def test_units_start_the_installed_program(installed):
    [unit] = installed.root.rglob("lxdcored.service")
    text = unit.read_text()
    [program] = installed.root.rglob("sbin/lxdcored")
    assert f"ExecStart=/{program.relative_to(installed.root)}" in text and "KillMode=process" in text
    assert list(installed.root.rglob("sysusers.d/lxdcore.conf")) and list(installed.root.rglob("tmpfiles.d/lxdcore.conf"))


def test_nothing_is_setuid(installed):
    assert not [path for path in installed.root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o6000]


@needs_root
def test_a_storage_driver_of_a_program_holds_containers(installed, examples, state_dir, image):
    result = run(examples / "custom_storage_driver", state_dir, image, env=installed.env)
    assert "tmpfs" in result.stdout and str(state_dir) not in pathlib.Path("/proc/mounts").read_text()


@needs_root
def test_a_device_type_of_a_program_is_seen_by_its_container(installed, examples, state_dir, image):
    result = run(examples / "custom_device", state_dir, image, env=installed.env)
    assert result.stdout == "abc123\nit is read-only\n"
    assert not os.listdir("/run/lxdcore-secrets")
    os.rmdir("/run/lxdcore-secrets")


@pytest.fixture
def for_pip(installed, tmp_path):
    """A copy of the sources, and an environment without a network in which pip finds the library."""
    pytest.importorskip("mesonpy")
    env = {**installed.env, "PIP_NO_INDEX": "1", "TMPDIR": str(tmp_path), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    # Only the library is in the staging root; Python's own headers are where they always are.
    [original] = installed.root.rglob("lxdcore.pc")
    text = re.sub(r"^prefix=.*$", f"prefix={installed.prefix}", original.read_text(), flags=re.M)
    (tmp_path / "lxdcore.pc").write_text(text)
    del env["PKG_CONFIG_SYSROOT_DIR"]
    env["PKG_CONFIG_PATH"] = str(tmp_path)
    shutil.copytree(ROOT / "bindings" / "python", tmp_path / "bindings" / "python")
    return env


def commands_of_the_page():
    """How docs/python.md says that pip is used."""
    text = (ROOT / "docs" / "python.md").read_text()
    return [line.partition("#")[0].split() for line in re.findall(r"^    (.*pip install.*)$", text, re.M)]


def test_pip_installs_into_a_venv_as_the_page_says(for_pip, tmp_path):
    [command] = [words for words in commands_of_the_page() if "--target" not in words]
    assert "&&" in command
    venv, pip = command[:command.index("&&")], command[command.index("&&") + 1:]
    run("/usr/bin/" + venv[0], *venv[1:], env=for_pip, cwd=tmp_path)
    run(*pip, env=for_pip, cwd=tmp_path)
    python = tmp_path / venv[-1] / "bin" / "python"
    run(python, "-c", "import lxdcore; lxdcore.Client('/nowhere')", env=for_pip, cwd="/")
    [module] = (tmp_path / venv[-1]).rglob("_lxdcore.*.so")
    assert (module.parent / "py.typed").exists()
    dynamic, segments = run("readelf", "-d", module).stdout, run("readelf", "-lW", module).stdout
    assert "BIND_NOW" in dynamic and "GNU_RELRO" in segments
    names = run("nm", "-D", "--undefined-only", module).stdout
    assert "__stack_chk_fail" in names


def test_pip_installs_into_a_folder_as_the_page_says(for_pip, tmp_path):
    [pip] = [words for words in commands_of_the_page() if "--target" in words]
    run("/usr/bin/" + pip[0], *pip[1:], env=for_pip, cwd=tmp_path)
    target = tmp_path / pip[pip.index("--target") + 1]
    env = {**for_pip, "PYTHONPATH": str(target)}
    run("/usr/bin/python3", "-c", "import lxdcore; lxdcore.Client('/nowhere')", env=env, cwd="/")
    assert (target / "lxdcore" / "py.typed").exists()
