# SPDX-License-Identifier: Apache-2.0
"""Backups in the form of btrfs: streams of subvolumes, to a real LXD and back, and streams that lie."""
import io
import os
import shutil
import tarfile

import pytest
import yaml

import backups
import test_backups
import test_storage_pools
import test_volume_backups
from daemons import run, wait_until

peer = test_backups.peer
outside = test_storage_pools.outside
POOLS = "/1.0/storage-pools"
FILE = "/root/kept"


@pytest.fixture(scope="module")
def pool(shared_daemon):
    """A btrfs pool of ours."""
    daemon = shared_daemon
    name = "opt"
    daemon.lxc("storage", "create", name, "btrfs", "size=512MiB")
    yield name
    for kind in ("instances", f"storage-pools/{name}/volumes/custom"):
        for item in daemon.api.get(f"/1.0/{kind}?recursion=1").metadata:
            if kind != "instances" or item["expanded_devices"]["root"]["pool"] == name:
                daemon.api.run("DELETE", f"/1.0/{kind}/{item['name']}", ok=False)
    daemon.api.run("DELETE", f"{POOLS}/{name}")


@pytest.fixture(scope="module")
def their_pool(peer):
    peer.lxc("storage", "create", "opt", "btrfs", "size=512MiB")
    return "opt"


def volume(daemon, name, pool="opt"):
    return daemon.dir / "storage-pools" / pool / "containers" / name


def fill(daemon, name, pool="opt"):
    """Two snapshots with different files, a subvolume inside, and another state of all of it."""
    daemon.lxc("init", "bb", name, "-s", pool)
    root = volume(daemon, name, pool) / "rootfs"
    run("btrfs", "subvolume", "create", root / "root/sub-a")
    for number, text in enumerate(("first", "second", "now")):
        (root / FILE[1:]).write_text(text)
        (root / "root/sub-a/file").write_text("nested " + text)
        if text != "now":
            daemon.lxc("snapshot", name, f"s{number}")


def check(daemon, name, pool="opt"):
    root = volume(daemon, name, pool) / "rootfs"
    run("btrfs", "subvolume", "show", root / "root/sub-a")
    tops = [(root, "now")] + [(daemon.dir / "storage-pools" / pool / "containers-snapshots" / name / s / "rootfs", text)
                              for s, text in (("s0", "first"), ("s1", "second"))]
    for top, text in tops:
        assert (top / FILE[1:]).read_text() == text
        assert (top / "root/sub-a/file").read_text() == "nested " + text
    (root / "root/sub-a/new").write_text("it is writable")
    daemon.lxc("start", name)
    assert daemon.lxc("exec", name, "--", "cat", FILE).stdout == "now"
    daemon.lxc("stop", "-f", name)
    daemon.lxc("restore", name, "s0")
    assert (root / FILE[1:]).read_text() == "first"


def remove(daemon, *names):
    for name in names:
        daemon.lxc("delete", "-f", name)


def listing(path):
    with tarfile.open(path) as tar:
        return tar.getnames()


PARTS = ["snapshots/s0.bin", "snapshots/s0_rootfs-root-sub--a.bin", "snapshots/s1.bin",
         "snapshots/s1_rootfs-root-sub--a.bin", "container.bin", "container_rootfs-root-sub--a.bin"]


@pytest.mark.limit(300)
def test_an_instance_goes_out_as_streams_and_comes_back(daemon, api, pool, tmp_path):
    fill(daemon, "o1")
    operation = api.run("POST", "/1.0/instances/o1/backups", {"name": "b1", "optimized_storage": True})
    assert operation["status_code"] == 200
    assert api.get("/1.0/instances/o1/backups/b1").metadata["optimized_storage"] is True
    assert sorted(os.listdir(daemon.dir / "backups/instances/o1")) == ["b1"]
    before = set(run("btrfs", "subvolume", "list", daemon.dir / "storage-pools/opt").stdout.splitlines())
    daemon.lxc("export", "o1", tmp_path / "b", "--optimized-storage")
    after = set(run("btrfs", "subvolume", "list", daemon.dir / "storage-pools/opt").stdout.splitlines())
    assert len(after) == len(before)  # nothing that was frozen is left
    assert listing(tmp_path / "b") == ["backup/index.yaml", "backup/optimized_header.yaml", *("backup/" + p for p in PARTS)]
    with tarfile.open(tmp_path / "b") as tar:
        index = yaml.safe_load(tar.extractfile("backup/index.yaml"))
        sizes = [tar.getmember("backup/" + part).size for part in PARTS]
    assert (index["optimized"], index["optimized_header"], index["backend"]) == (True, True, "btrfs")
    assert sizes[2] < sizes[0] / 10 and sizes[4] < sizes[0] / 10  # increments
    daemon.lxc("import", tmp_path / "b", "o2", "-s", pool)
    check(daemon, "o2")
    remove(daemon, "o1")
    daemon.lxc("import", tmp_path / "b", "-s", pool)  # into a pool where the origin is no more
    check(daemon, "o1")
    remove(daemon, "o1", "o2")


@pytest.mark.limit(300)
@pytest.mark.parametrize("arrived", [False, True])
def test_the_header_names_each_subvolume_by_its_own_uuid(daemon, pool, tmp_path, arrived):
    fill(daemon, "o1")
    name = "o1"
    if arrived:  # which have identities of where they come from beside their own
        daemon.lxc("export", "o1", tmp_path / "first", "--optimized-storage")
        daemon.lxc("import", tmp_path / "first", "o2", "-s", pool)
        name = "o2"
    daemon.lxc("export", name, tmp_path / "b", "--optimized-storage")
    with tarfile.open(tmp_path / "b") as tar:
        found = yaml.safe_load(tar.extractfile("backup/optimized_header.yaml"))["subvolumes"]
    top = daemon.dir / "storage-pools/opt"
    expected = []
    for snapshot in ("s0", "s1", ""):
        for path in ("/", "/rootfs/root/sub-a"):
            at = top / (f"containers-snapshots/{name}/{snapshot}" if snapshot else f"containers/{name}")
            shown = run("btrfs", "subvolume", "show", str(at) + path).stdout
            uuid = next(line.split()[1] for line in shown.splitlines() if line.strip().startswith("UUID:"))
            expected.append({"path": path, "snapshot": snapshot, "readonly": bool(snapshot) and path == "/", "uuid": uuid})
    assert found == expected
    remove(daemon, *{"o1", name})


@pytest.mark.limit(300)
def test_a_pool_with_another_driver_says_so(daemon, pool, tmp_path):
    fill(daemon, "o1")
    daemon.lxc("export", "o1", tmp_path / "b", "--optimized-storage")
    result = daemon.lxc("import", tmp_path / "b", "o2", "-s", "default", check=False)
    assert 'Optimized backup storage driver "btrfs" differs from the target storage pool driver "dir"' in result.stderr
    remove(daemon, "o1")
    daemon.lxc("init", "bb", "o3", "-s", "default")
    daemon.lxc("export", "o3", tmp_path / "plain", "--optimized-storage")  # which dir does not know
    assert "backup/container/rootfs" in listing(tmp_path / "plain")
    remove(daemon, "o3")


@pytest.mark.limit(300)
def test_a_volume_goes_out_as_streams_and_comes_back(daemon, pool, tmp_path):
    fill_volume(daemon, pool, "v1")
    daemon.lxc("storage", "volume", "export", pool, "v1", tmp_path / "v", "--optimized-storage")
    assert listing(tmp_path / "v")[2:] == ["backup/volume-snapshots/s0.bin", "backup/volume-snapshots/s0_nest.bin",
                                           "backup/volume.bin", "backup/volume_nest.bin"]
    daemon.lxc("storage", "volume", "import", pool, tmp_path / "v", "v2")
    check_volume(daemon, pool, "v2")
    daemon.lxc("storage", "volume", "create", pool, "v3", "--type=block", "size=8MiB")
    (test_volume_backups.content(daemon, "v3", pool=pool) / "root.img").write_bytes(b"here".ljust(8 << 20, b"\0"))
    daemon.lxc("storage", "volume", "export", pool, "v3", tmp_path / "w", "--optimized-storage")
    daemon.lxc("storage", "volume", "import", pool, tmp_path / "w", "v4")
    assert (test_volume_backups.content(daemon, "v4", pool=pool) / "root.img").read_bytes()[:4] == b"here"
    for name in ("v1", "v2", "v3", "v4"):
        daemon.lxc("storage", "volume", "delete", pool, name)


def fill_volume(daemon, pool, name):
    daemon.lxc("storage", "volume", "create", pool, name, "user.x=y")
    daemon.api.run("PATCH", f"{POOLS}/{pool}/volumes/custom/{name}", {"description": "told"})
    run("btrfs", "subvolume", "create", test_volume_backups.content(daemon, name, pool=pool) / "nest")
    test_volume_backups.fill(daemon, name, pool)


def check_volume(daemon, pool, name):
    test_volume_backups.check(daemon, name, pool=pool)
    run("btrfs", "subvolume", "show", test_volume_backups.content(daemon, name, pool=pool) / "nest")


@pytest.mark.ours
@pytest.mark.limit(300)
def test_streams_may_come_in_any_order(daemon, pool, tmp_path):
    fill(daemon, "o1")
    daemon.lxc("export", "o1", tmp_path / "b", "--optimized-storage", "--compression", "none")
    with tarfile.open(tmp_path / "b") as tar:
        kept = [(m, tar.extractfile(m).read()) for m in tar.getmembers()]
    remove(daemon, "o1")
    for number, order in enumerate(([7, 6, 5, 4, 3, 2, 1, 0], [2, 3, 1, 0, 6, 7, 4, 5])):
        with tarfile.open(tmp_path / "c", "w") as tar:
            for i in order:
                tar.addfile(kept[i][0], io.BytesIO(kept[i][1]))
        daemon.lxc("import", tmp_path / "c", f"o{number}", "-s", pool)
        check(daemon, f"o{number}")
        remove(daemon, f"o{number}")


# -- a real LXD --------------------------------------------------------------------------------------------------------
@pytest.mark.ours
@pytest.mark.limit(400)
def test_streams_go_to_a_real_lxd_and_come_from_it(daemon, peer, pool, their_pool, tmp_path):
    for source, target in ((daemon, peer), (peer, daemon)):
        fill(source, "across")
        source.lxc("export", "across", tmp_path / "b", "--optimized-storage")
        remove(source, "across")
        target.lxc("import", tmp_path / "b", "arrived", "-s", "opt")
        check(target, "arrived")
        remove(target, "arrived")
        fill_volume(source, "opt", "across")
        source.lxc("storage", "volume", "export", "opt", "across", tmp_path / "v", "--optimized-storage")
        source.lxc("storage", "volume", "delete", "opt", "across")
        target.lxc("storage", "volume", "import", "opt", tmp_path / "v", "arrived")
        check_volume(target, "opt", "arrived")
        target.lxc("storage", "volume", "delete", "opt", "arrived")
        os.unlink(tmp_path / "b")
        os.unlink(tmp_path / "v")


# -- streams that lie --------------------------------------------------------------------------------------------------
def stream(outside, name, make):
    """What `btrfs send` gives of a subvolume that make() fills."""
    top = outside / name
    run("btrfs", "subvolume", "create", top)
    make(top)
    run("btrfs", "property", "set", top, "ro", "true")
    run("btrfs", "send", "-q", "-f", outside / "stream", top)
    return (outside / "stream").read_bytes()


def good_tree(top):
    (top / "rootfs/root").mkdir(parents=True)
    (top / "metadata.yaml").write_bytes(backups.metadata())
    os.chmod(top, 0o100)


def archive(document, streams, header=None):
    members = [backups.entry("backup/index.yaml", yaml.safe_dump(document).encode())]
    if header is not None:
        members.append(backups.entry("backup/optimized_header.yaml", yaml.safe_dump(header).encode()))
    return backups.make_tar(members + [backups.entry("backup/" + name, data) for name, data in streams.items()])


def header(*parts):
    return {"subvolumes": [{"path": path, "snapshot": snapshot, "readonly": bool(snapshot)} for path, snapshot in parts]}


@pytest.fixture
def refused(daemon, pool):
    """Posts an archive of an instance and sees that nothing comes of it; gives the text."""
    def attempt(data, name="liar"):
        top = daemon.dir / "storage-pools/opt"
        wait_until(lambda: not list(top.glob("*/.*")), what="no staged volume")
        listed = lambda: run("btrfs", "subvolume", "list", "-o", top).stdout.count("\n")  # noqa: E731
        before = listed()
        reply = backups.post(daemon, data, name=name, pool=pool)
        text = reply.error
        if reply.status == 202:
            operation = daemon.api.wait(reply.operation())
            assert operation["status_code"] == 400, operation
            text = operation["err"]
        assert daemon.api.get(f"/1.0/instances/{name}").status == 404
        wait_until(lambda: not list(top.glob("*/.*")), what="no staged volume")
        assert listed() == before
        for folder in ("containers", "containers-snapshots"):
            assert not [n for n in os.listdir(top / folder) if n == name or n.startswith(".")]
        return text
    return attempt


OPTIMIZED = {"optimized": True, "optimized_header": True, "backend": "btrfs"}


@pytest.mark.ours
@pytest.mark.limit(300)
def test_streams_that_are_none_are_refused(refused, outside):
    whole = stream(outside, "good", good_tree)
    index = backups.index("liar", **OPTIMIZED)
    one = header(("/", ""))
    for what, data in (("garbage", b"hello" * 1000), ("nothing", b""), ("half", whole[:len(whole) // 2]),
                       ("more", whole + b"x" * 300000), ("one more", whole + b"x"), ("no end", whole[:-10])):
        assert refused(archive(index, {"container.bin": data}, one)), what
    refused(archive(index, {}, one))
    refused(archive(index, {"other.bin": whole}, one))
    refused(archive(index, {"container.bin": whole}, header(("/", ""), ("/../../x", ""))))
    refused(archive(index, {"container.bin": whole, "container_a.bin": whole}, header(("/a", ""), ("/", ""))))
    refused(archive(index, {"container.bin": whole}, {"subvolumes": "all"}))
    refused(archive(index, {"container.bin": whole}, header(("/", ""), ("/", "s9"))))
    refused(archive(backups.index("liar", snapshots=["s0"], **OPTIMIZED), {"container.bin": whole}, one))


@pytest.mark.ours
@pytest.mark.limit(300)
@pytest.mark.parametrize("what", ["no rootfs", "rootfs a link", "templates a link", "metadata a link"])
def test_r02_a_stream_without_an_instance_is_refused(refused, outside, canary, what):
    def make(top):
        good_tree(top)
        if "rootfs" in what:
            shutil.rmtree(top / "rootfs")
        if "metadata" in what:
            (top / "metadata.yaml").unlink()
        name = {"rootfs": "rootfs", "templates": "templates", "metadata": "metadata.yaml"}[what.split()[0].replace("no", "rootfs")]
        if "link" in what:
            (top / name).symlink_to(canary)
    data = stream(outside, "bad", make)
    assert "holds no instance" in refused(archive(backups.index("liar", **OPTIMIZED), {"container.bin": data}, header(("/", ""))))


@pytest.mark.ours
@pytest.mark.limit(300)
def test_nobody_but_root_reaches_what_a_stream_brought(daemon, api, pool, outside):
    def make(top):
        good_tree(top)
        os.chmod(top, 0o777)
    data = archive(backups.index("opened", **OPTIMIZED), {"container.bin": stream(outside, "open", make)}, header(("/", "")))
    backups.upload(daemon, data, pool=pool)
    assert volume(daemon, "opened").stat().st_mode & 0o7777 == 0o100
    api.run("DELETE", "/1.0/instances/opened")


@pytest.mark.ours
@pytest.mark.limit(300)
def test_a_nested_subvolume_lands_in_the_volume_or_nowhere(refused, outside, canary):
    """Where it should go, the volume has a link that leads out."""
    def make(top):
        good_tree(top)
        (top / "rootfs/root/out").symlink_to(canary)
    whole, inner = stream(outside, "link", make), stream(outside, "inner", lambda top: (top / "evil").write_text("x"))
    before = sorted(os.listdir(canary))
    refused(archive(backups.index("liar", **OPTIMIZED), {"container.bin": whole, "container_rootfs-root-out-in.bin": inner},
                    header(("/", ""), ("/rootfs/root/out/in", ""))))
    assert sorted(os.listdir(canary)) == before
