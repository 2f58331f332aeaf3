# SPDX-License-Identifier: Apache-2.0
"""Starts lxdcored, or a real LXD to compare with, on a scratch state directory, and stops it without leftovers."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from api_client import Api
from tested_build import BUILD, PATIENCE, SOURCE

SUPPORT = SOURCE / "tests/support"


def run(*args, check=True, timeout=120, **options):
    options.setdefault("stdin", None if "input" in options else subprocess.DEVNULL)
    if "input" in options:
        del options["stdin"]
    result = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=timeout * PATIENCE, **options)
    if check and result.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, args))}: exit {result.returncode}\n{result.stdout}{result.stderr}")
    return result


def free_port():
    with contextlib.closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(condition, timeout=20, interval=0.1, what="condition"):
    """Polls until `condition()` is true; gives its value."""
    end = time.monotonic() + timeout * PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(interval)


def make_certificate(folder, name="client", days=30, start=None):
    """A self-signed client certificate: (crt, key)."""
    crt, key = f"{folder}/{name}.crt", f"{folder}/{name}.key"
    extra = ["-not_before", start] if start else []
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1", "-nodes", "-keyout", key,
        "-out", crt, "-days", days, "-subj", f"/CN={name}", "-addext", "extendedKeyUsage=clientAuth", *extra)
    return crt, key


def cached_busybox():
    cache = pathlib.Path(os.environ.get("LXDCORE_TEST_CACHE") or
                         pathlib.Path(os.environ.get("XDG_CACHE_HOME", "/var/cache")) / "lxdcore")
    cache.mkdir(parents=True, exist_ok=True)
    image = cache / "busybox.tar.gz"
    script = SUPPORT / "image-busybox"
    if not image.exists() or image.stat().st_mtime < script.stat().st_mtime:
        run(script, image)
    return image


class Daemon:
    """One daemon on its own directory, bridge and subnet. `kind` is lxdcored or lxd."""

    def __init__(self, kind="lxdcored", name=None, bridge=None, subnet=None, base=None):
        self.kind = kind
        number = os.getpid() % 1000
        self.bridge = bridge or os.environ.get("LXDCORE_TEST_BRIDGE") or f"lxct{number}"
        self.subnet = subnet or os.environ.get("LXDCORE_TEST_SUBNET", "10.71.8")  # the first three numbers
        self.base = pathlib.Path(base or tempfile.mkdtemp(prefix=f"lxdcore-{name or kind}-"))
        self.base.chmod(0o711)
        self.dir = self.base / "lxd"
        self.conf = self.base / "conf"
        self.log = self.base / "daemon.log"
        self.process = None
        self.extra_args = []
        self.extra_env = {}
        self.address = None
        self.dir.mkdir(exist_ok=True)
        self.dir.chmod(0o711)
        self.conf.mkdir(exist_ok=True)

    # -- process --------------------------------------------------------------------------------------------------
    @property
    def program(self):
        return "/usr/bin/lxd" if self.kind == "lxd" else str(BUILD / "daemon/lxdcored")

    @property
    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("LXD_", "LXDCORE_"))}
        env.update(LXD_DIR=str(self.dir), LXD_CONF=str(self.conf), LC_ALL="C.UTF-8",
                   LXDCORE_HELPER=str(BUILD / "lib/helper/lxdcore-helper"))
        env.update(self.extra_env)
        return env

    @property
    def socket(self):
        return str(self.dir / "unix.socket")

    @property
    def api(self):
        return Api(socket=self.socket, ours=self.kind != "lxd")

    @property
    def pid(self):
        return self.process.pid

    def start(self, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "--group", "root", "--logfile", f"{self.base}/file.log", *self.extra_args],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout * PATIENCE
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"{self.program} ended with {self.process.returncode}\n{self.log_tail()}")
            try:
                if Api(socket=self.socket, timeout=5 * PATIENCE).get("/internal/ready").status == 200:
                    return
            except OSError:
                pass
            if time.monotonic() > end:
                raise AssertionError(f"{self.program} is not ready after {timeout} s\n{self.log_tail()}")
            time.sleep(0.05)

    def log_tail(self, size=6000):
        texts = [p.read_text(errors="replace")[-size:] for p in (self.log, self.base / "file.log") if p.exists()]
        return "\n".join(texts)

    def signal(self, number, wait=True):
        self.process.send_signal(number)
        if wait:
            self.process.wait(30 * PATIENCE)

    def kill(self):
        self.signal(signal.SIGKILL)

    def restart(self):
        """As after an upgrade: the daemon ends, containers keep running, a new one takes over."""
        self.signal(signal.SIGTERM)
        return self.start()

    def admin(self, *args, **options):
        """A verb of the administrator's program."""
        return run(self.program, *args, env=self.env, **options)

    def lxc(self, *args, terminal=False, **options):
        """The stock client; `terminal` gives it a terminal as standard input, as `lxc ... edit` wants for EDITOR."""
        if terminal:
            ours, theirs = os.openpty()
            try:
                return self.lxc(*args, stdin=theirs, **options)
            finally:
                os.close(ours)
                os.close(theirs)
        return run("lxc", *args, env={**self.env, **options.pop("env", {})}, **options)

    # -- contents -------------------------------------------------------------------------------------------------
    def setup(self, https=False):
        """A dir pool, a bridge, the default profile with both, the busybox image as `bb`."""
        api = self.api
        api.run("POST", "/1.0/storage-pools", {"name": "default", "driver": "dir"})
        api.run("POST", "/1.0/networks", {"name": self.bridge, "type": "bridge",
                                          "config": {"ipv4.address": f"{self.subnet}.1/24", "ipv6.address": "none"}})
        api.run("PUT", "/1.0/profiles/default", {
            "config": {}, "description": "Default LXD profile",
            "devices": {"root": {"type": "disk", "path": "/", "pool": "default"},
                        "eth0": {"type": "nic", "name": "eth0", "network": self.bridge}}})
        if https:
            self.enable_https()
        self.lxc("image", "import", cached_busybox(), "--alias", "bb")
        return self

    def enable_https(self, password="sekret"):
        self.address = f"127.0.0.1:{free_port()}"
        self.api.run("PATCH", "/1.0", {"config": {"core.https_address": self.address, "core.trust_password": password}})
        return self.address

    def https(self, cert=None):
        return Api(address=self.address, cert=cert, ours=self.kind != "lxd")

    def remove_instances(self):
        api = self.api
        for url in api.get("/1.0/instances").metadata:
            name = url.rsplit("/", 1)[1]
            api.run("PUT", f"/1.0/instances/{name}/state", {"action": "stop", "force": True, "timeout": 30}, ok=False)
            api.run("DELETE", f"/1.0/instances/{name}", ok=False)

    def remove_all(self):
        """Everything that was made through the API, so that what is left afterwards is a leak."""
        api = self.api
        self.remove_instances()
        for url in api.get("/1.0/images").metadata:
            api.run("DELETE", url, ok=False)
        for url in api.get("/1.0/profiles").metadata:
            if not url.endswith("/default"):
                api.run("DELETE", url, ok=False)
        api.run("PUT", "/1.0/profiles/default", {"config": {}, "devices": {}}, ok=False)
        for network in api.get("/1.0/networks?recursion=1").metadata:
            if network["managed"]:
                api.run("DELETE", f"/1.0/networks/{network['name']}", ok=False)
        for url in api.get("/1.0/storage-pools").metadata:
            api.run("DELETE", url, ok=False)

    def stop(self, remove=True):
        """Removes everything, ends the daemon and says what it left on the host."""
        if self.process and self.process.poll() is None:
            try:
                if remove:
                    self.remove_all()
            finally:
                self.process.send_signal(signal.SIGPWR if self.kind == "lxd" else signal.SIGTERM)
                try:
                    self.process.wait(60 * PATIENCE)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        return self.leftovers()

    def destroy(self):
        """Forcibly removes what is left; used after leftovers() was looked at."""
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for _ in range(3):
            for mount in reversed(self.mounts()):
                run("umount", "-l", mount, check=False)
        run("ip", "link", "delete", self.bridge, check=False)
        shutil.rmtree(self.base, ignore_errors=True)

    def held_of_images(self):
        """What the daemon has open of images and their trees."""
        held = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                held.append(os.readlink(f"/proc/{self.pid}/fd/{fd}"))
        return [path for path in held if "/images/" in path]

    def images_at_rest(self):
        """A new image is unpacked without being asked, and its tree written out: waits for the end of that."""
        staged = lambda: [p for p in self.dir.glob("storage-pools/*/*/.*") if p.name.startswith((".new-", ".old-"))]
        wait_until(lambda: not self.held_of_images() and not staged(), what="images at rest")

    # -- what is on the host --------------------------------------------------------------------------------------
    def mounts(self):
        points = [line.split(" ")[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()]
        return [p for p in points if p.startswith(str(self.base) + "/")]

    def processes(self):
        """Processes that name this directory in their command line or environment."""
        found = []
        mark = str(self.dir).encode()
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if words and mark in words:
                    found.append(int(entry.name))
        return found

    def network_traces(self):
        found = []
        links = run("ip", "-o", "link").stdout
        found += [f"link {line.split(':')[1].strip()}" for line in links.splitlines() if self.bridge in line]
        found += [f"nft {line.strip()}" for line in run("nft", "list", "ruleset").stdout.splitlines()
                  if self.bridge in line]
        return found

    def leftovers(self, patience=5):
        """Mounts, processes, links, firewall rules and loop devices that still speak of this daemon."""
        end = time.monotonic() + patience * PATIENCE
        while True:
            found = [f"mount {m}" for m in self.mounts()]
            for pid in self.processes():
                with contextlib.suppress(OSError):
                    words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                    found.append(f"process {pid} {words[:120]}")
            found += self.network_traces()
            found += [f"loop {line}" for line in run("losetup", "-a", check=False).stdout.splitlines()
                      if str(self.base) in line]
            if not found or time.monotonic() > end:
                return found
            time.sleep(0.2)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            self.stop()
        finally:
            self.destroy()


@contextlib.contextmanager
def at_work(daemon, **options):
    """Started and set up; at its end it must have left nothing on the host."""
    try:
        daemon.start().setup(**options)
        yield daemon
        left = daemon.stop()
        assert not left, "left on the host:\n" + "\n".join(left)
    finally:
        daemon.stop(remove=False)
        daemon.destroy()
