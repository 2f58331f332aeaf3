# SPDX-License-Identifier: Apache-2.0
"""What `meson install` leaves is enough for others: headers, pkg-config, CMake, examples, Python, manual page."""
import contextlib
import os
import pathlib
import pty
import re
import shutil
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("LXDCORE_BUILD", ROOT / "build"))
sys.path.insert(0, str(ROOT / "tests" / "support"))

from daemons import Daemon, cached_busybox, make_certificate, wait_until  # noqa: E402
from tarballs import tiny_image  # noqa: E402


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


@pytest.fixture(scope="session")
def broken_image(tmp_path_factory):
    """Containers can be made of it, but do not start."""
    path = tmp_path_factory.mktemp("images") / "broken.tar.gz"
    path.write_bytes(tiny_image())
    return path


def instances_in(state_dir):
    """Names of the containers that a state directory has."""
    return sorted(path.name for path in (state_dir / "containers").glob("*"))


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


def project_version():
    return re.search(r"^project\('lxdcore', .*version : '([0-9.]+)'", (ROOT / "meson.build").read_text(), re.M)[1]


def test_the_library_has_a_name_for_its_interface(installed):
    """Before 1.0 each minor version may change it: what wants 0.1 must not get 0.2."""
    major, minor, _ = project_version().split(".")
    interface = f"0.{minor}" if major == "0" else major
    dynamic = run("readelf", "-d", installed.libdir / "liblxdcore.so").stdout
    assert f"Library soname: [liblxdcore.so.{interface}]\n" in dynamic
    [cmake] = installed.root.rglob("lxdcoreConfig.cmake")
    assert f'IMPORTED_SONAME "liblxdcore.so.{interface}"' in cmake.read_text()
    debian = ROOT / "packaging/debian"
    assert f"\nPackage: liblxdcore{interface}\n" in (debian / "control").read_text()
    assert (debian / f"liblxdcore{interface}.install").exists()


def test_each_place_says_the_same_version(installed):
    version = project_version()
    [pkgconfig] = installed.root.rglob("lxdcore.pc")
    assert f"\nVersion: {version}\n" in pkgconfig.read_text()
    assert (ROOT / "packaging/debian/changelog").read_text().startswith(f"lxdcore ({version}) ")
    assert f'\nversion = "{version}"\n' in (ROOT / "bindings/python/pyproject.toml").read_text()
    assert f"version : '{version}'" in (ROOT / "bindings/python/meson.build").read_text()


def test_a_program_can_ask_for_the_version(installed, tmp_path):
    version = project_version()
    major, minor, patch = map(int, version.split("."))
    source = tmp_path / "version.cpp"
    source.write_text(f"""#include <lxdcore/version.hpp>
#include <string_view>
static_assert(std::string_view{{LXDCORE_VERSION}} == "{version}");
static_assert(LXDCORE_VERSION_MAJOR == {major} && LXDCORE_VERSION_MINOR == {minor} && LXDCORE_VERSION_PATCH == {patch});
#if !LXDCORE_VERSION_AT_LEAST({major}, {minor}, {patch}) || !LXDCORE_VERSION_AT_LEAST(0, 0, 9)
#error the version is not at least itself
#endif
#if LXDCORE_VERSION_AT_LEAST({major}, {minor}, {patch + 1}) || LXDCORE_VERSION_AT_LEAST({major}, {minor + 1}, 0) || \\
    LXDCORE_VERSION_AT_LEAST({major + 1}, 0, 0)
#error the version is at least a later one
#endif
int main() {{}}
""")
    run("g++", "-std=c++20", "-Wall", "-Werror", "-fsyntax-only", f"-I{installed.prefix / 'include'}", source)


@needs_root
def test_a_program_launches_a_container(installed, examples, state_dir, image):
    result = run(examples / "launch_and_exec", state_dir, image, env=installed.env)
    assert re.match(r"Hello from example-\d+, process \d+\n", result.stdout)
    assert instances_in(state_dir) == []


@needs_root
def test_a_program_that_fails_leaves_no_container(installed, examples, state_dir, broken_image):
    result = run(examples / "launch_and_exec", state_dir, broken_image, env=installed.env, check=False)
    assert result.returncode == 1 and "Failed" in result.stderr, result.stderr
    assert instances_in(state_dir) == []
    result = run(examples / "ci_runner", state_dir, broken_image, "-n", "2", "true", env=installed.env, check=False)
    assert result.returncode == 1 and "2 jobs, 2 failed" in result.stdout
    assert instances_in(state_dir) == []


@needs_root
def test_the_command_may_end_its_container(installed, examples, state_dir, image):
    result = run(examples / "launch_and_exec", state_dir, image, "sh", "-c", "halt -f; poweroff -f; sleep 60",
                 env=installed.env, check=False)
    assert result.returncode != 0 and instances_in(state_dir) == []


@needs_root
def test_ten_jobs_run_in_ten_containers(installed, examples, state_dir, image):
    command = ["sh", "-c", "echo job $JOB on $(hostname); test $JOB != 7"]
    result = run(examples / "ci_runner", state_dir, image, "-j", "10", "-n", "10", *command, env=installed.env,
                 check=False)
    assert result.returncode == 1 and "10 jobs, 1 failed" in result.stdout, result.stdout + result.stderr
    assert len(set(re.findall(r"job (\d+) on ci-", result.stdout))) == 10
    assert instances_in(state_dir) == []


class OnTerminal:
    """A program whose standard error, and where Ctrl-C comes from, is a terminal."""

    def __init__(self, command, env):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen([str(part) for part in command], env=env, stdin=slave, stderr=slave, text=True,
                                        stdout=subprocess.PIPE, start_new_session=True,
                                        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)))
        os.close(slave)

    def seen(self):
        """All that came to the terminal; after the end."""
        parts = []
        with contextlib.suppress(OSError):  # nobody has it open any more
            while part := os.read(self.master, 4096):
                parts.append(part)
        os.close(self.master)
        return b"".join(parts).decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def marked(state_dir):
    return list(state_dir.glob("storage-pools/default/containers/ci-*/rootfs/marker"))


WAITING = "touch /marker; for i in $(seq 900); do [ ! -e /go ] || exit 0; sleep 0.2; done; exit 1"


@needs_root
def test_jobs_run_at_the_same_time_and_a_bar_says_how_many_are_done(installed, examples, state_dir, image):
    """Each job waits until all ten have begun."""
    command = [examples / "ci_runner", state_dir, image, "-j", "10", "-n", "10", "sh", "-c", WAITING]
    with OnTerminal(command, installed.env) as runner:
        for marker in wait_until(lambda: len(found := marked(state_dir)) == 10 and found, timeout=120, what="ten jobs"):
            (marker.parent / "go").touch()
        out, _ = runner.process.communicate(timeout=120)
        bars = re.findall(r"\r\[(#*)(\.*)\] (\d+)/10", seen := runner.seen())
    assert runner.process.returncode == 0 and "10 jobs, 0 failed" in out
    assert [(len(full), len(rest), int(n)) for full, rest, n in bars] == [(4 * n, 40 - 4 * n, n) for n in range(11)]
    assert seen.endswith("\r\033[K")
    assert instances_in(state_dir) == []


@needs_root
def test_ctrl_c_ends_the_jobs_and_removes_their_containers(installed, examples, state_dir, image):
    command = [examples / "ci_runner", state_dir, image, "-j", "2", "-n", "4", "sh", "-c", WAITING]
    with OnTerminal(command, installed.env) as runner:
        wait_until(lambda: len(marked(state_dir)) == 2, timeout=120, what="two jobs")
        os.write(runner.master, b"\x03")
        out, _ = runner.process.communicate(timeout=120)
        runner.seen()
    assert runner.process.returncode == 130 and "4 jobs, 4 failed" in out and out.count("cancelled\n") == 4, out
    assert instances_in(state_dir) == [] and str(state_dir) not in pathlib.Path("/proc/mounts").read_text()


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


@pytest.fixture
def running(daemon, image):
    """A container that runs."""
    fingerprint = daemon.api.run("POST", "/1.0/images", data=image.read_bytes())["metadata"]["fingerprint"]
    daemon.api.run("POST", "/1.0/instances", {
        "name": "c1", "source": {"type": "image", "fingerprint": fingerprint},
        "devices": {"root": {"type": "disk", "path": "/", "pool": "default"}}})
    daemon.api.run("PUT", "/1.0/instances/c1/state", {"action": "start"})
    yield "c1"
    daemon.api.run("PUT", "/1.0/instances/c1/state", {"action": "stop", "force": True})
    daemon.api.run("DELETE", "/1.0/instances/c1")
    daemon.api.run("DELETE", f"/1.0/images/{fingerprint}")


@needs_root
def test_a_client_uses_a_container_over_https(installed, examples, daemon, running, tmp_path):
    crt, key = make_certificate(tmp_path)
    url, server = f"https://{daemon.enable_https()}", daemon.dir / "server.crt"
    body = "".join(line for line in pathlib.Path(crt).read_text().splitlines() if "CERTIFICATE" not in line)
    daemon.api.run("POST", "/1.0/certificates", {"type": "client", "name": "trusted", "certificate": body})
    for access in ([daemon.socket], [url, crt, key, server]):
        client = [examples / "remote_client", *access]
        assert re.match(rf"{running} +Running +\n$", run(*client, env=installed.env).stdout)
        result = run(*client, "--", running, "sh", "-c", "cat; hostname; echo bad >&2; exit 3", env=installed.env,
                     check=False, input="typed\n")
        assert (result.returncode, result.stdout, result.stderr) == (3, f"typed\n{running}\n", "bad\n")
    other, its_key = make_certificate(tmp_path, "other")
    result = run(examples / "remote_client", url, other, its_key, server, env=installed.env, check=False)
    assert result.returncode == 1 and result.stdout == ""
    result = run(examples / "remote_client", url, crt, key, crt, env=installed.env, check=False)
    assert result.returncode == 1 and result.stdout == ""


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
    for shell, check, name in (("bash", "-n", "bash-completion/completions/lxdcored"), ("zsh", "-n", "_lxdcored"),
                               ("fish", "--no-execute", "lxdcored.fish")):
        [file] = installed.root.rglob(name)
        if shutil.which(shell):
            assert run(shell, check, file).stderr == ""
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
@pytest.mark.parametrize("example", ["custom_storage_driver", "custom_device"])
def test_a_run_that_fails_leaves_nothing_to_the_next_one(installed, examples, state_dir, image, broken_image, example):
    for bad in ("/dev/null", broken_image):
        result = run(examples / example, state_dir, bad, env=installed.env, check=False)
        assert result.returncode == 1 and "already exists" not in result.stderr, result.stderr
        assert "cleaning up" not in result.stderr and instances_in(state_dir) == []
    assert "already exists" not in run(examples / example, state_dir, image, env=installed.env).stderr
    if example == "custom_device":
        os.rmdir("/run/lxdcore-secrets")


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
