#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the lists of docs/compatibility.md true: routes, configuration keys, announced extensions, intended differences; and
what of these LXD 5.0 has and we do not, by its names in tests/data.

    check_compatibility.py [--write] [ROOT]       --write puts the lists right; look at the difference
    check_compatibility.py --answers FILE [ROOT]  what the page says works is what tests/conformance has seen to work
"""
import json
import pathlib
import re
import sys

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
ADD = re.compile(r'(router\.add(?:_cheap)?|add_instance_route)\(\s*(?:router,\s*)?Method::(\w+),\s*"([^"]*)"')
ANY_ADD = re.compile(r"router\.add(?:_cheap)?\(|add_instance_route\(router")


def routes(root):
    """{(method, path)} of what the daemon answers over the network."""
    found = set()
    for file in sorted((root / "daemon/routes").rglob("*.cpp")):
        text = file.read_text(encoding="utf-8")
        calls = ADD.findall(text)
        if len(calls) != len(ANY_ADD.findall(text)):
            raise SystemExit(f"{file}: a route is added in a form that this check cannot read")
        for call, method, path in calls:
            path = "/1.0/instances" + path if call == "add_instance_route" else path
            if not path.startswith("/internal/"):
                found.add((method.upper(), path.replace("*}", "}")))
    return found


def shape(path):
    return re.sub(r"\{[^}]*\}", "x", path)


def table(rows):
    lines = ["| path | methods |", "|---|---|"]
    by_path = {}
    for method, path in rows:
        by_path.setdefault(path, []).append(method)
    lines += [f"| `{path}` | {' '.join(sorted(methods, key=METHODS.index))} |" for path, methods in sorted(by_path.items())]
    return lines


def names_of_lxd(root, file):
    """Lines of a list of what LXD 5.0 has."""
    lines = (root / "tests/data" / file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def missing(root, answered):
    known = {(m, shape(p)) for m, p in answered}
    rows = [tuple(line.split()) for line in names_of_lxd(root, "routes.txt")]
    return [(method, re.sub(r"/x(?=/|$)", "/…", path)) for method, path in rows if (method, path) not in known]


def quoted(names):
    return " ".join(f"`{name}`" for name in names)


def announced(root):
    return re.findall(r'^\s+"([a-z0-9_]+)",', (root / "lib/server/api_extensions.cpp").read_text(encoding="utf-8"), re.M)


def silent(root):
    """Extensions of LXD that are not announced."""
    ours, theirs = announced(root), names_of_lxd(root, "api-extensions.txt")
    if set(ours) - set(theirs):
        raise SystemExit(f"announced, and no extension of LXD 5.0: {sorted(set(ours) - set(theirs))}")
    return [name for name in theirs if name not in ours]


TABLE = re.compile(r"std::span<const Key> (\w+)_keys\(\) \{\s*static constexpr Key table\[\] = \{(.*?)\};", re.S)
KEY = re.compile(r'\{"([^"]+)",\s*"[^"]*",\s*[\w:]+(?:,\s*(true|false)(?:,\s*(true|false))?)?\}')


LABELS = {"bridged": "NIC, bridged", "p2p": "NIC, p2p", "none": "device `none`", "bridge": "network of type bridge",
          "instance": "instance, profile", "lvm": "lvm pool", "zfs": "zfs pool", "ceph": "ceph pool", "cephfs": "cephfs pool"}


def refused_of_nics(root):
    """Tells of a key whether refuse_unsupported() names it."""
    body = re.search(r"void refuse_unsupported\(.*?\n\}", (root / "lib/device/nic.cpp").read_text(encoding="utf-8"), re.S)[0]
    tests = re.findall(r'key(?:\.(starts_with|ends_with)\(| (==) )"([^"]+)"', body)
    how = {"starts_with": str.startswith, "ends_with": str.endswith, "==": str.__eq__}
    return lambda key: any(how[method or equal](key, text) for method, equal, text in tests)


def key_tables(root):
    """(table of lib/config, {key: whether it is applied})"""
    nic_refuses = refused_of_nics(root)
    for file in sorted((root / "lib/config").glob("*_keys.cpp")):
        for name, body in TABLE.findall(file.read_text(encoding="utf-8")):
            found = KEY.findall(body)
            if not found or len(found) != body.count('{"'):
                raise SystemExit(f"{file}: {name}_keys() is in a form that this check cannot read")
            nic = name in ("bridged", "p2p")
            yield name, {key: applied != "false" and not (nic and nic_refuses(key)) for key, _, applied in found}


def keys_of_lxd(root):
    """(what has them, its keys)"""
    kinds = {}
    for line in names_of_lxd(root, "config-keys.txt"):
        if line.startswith(" "):
            kinds[kind].append(line.strip())
        else:
            kinds[kind := line] = []
    return kinds


def label_of_lxd(kind):
    first, *rest = kind.split(":")
    if kind.startswith("device:nic:"):
        return "NIC, " + rest[1]
    if first == "device":
        return f"device `{rest[0]}`" + "".join(f", {one}" for one in rest[1:])
    if first == "network":
        return "network of type " + rest[0]
    return " ".join([*rest[:1], "pool"]) if first == "storage-pool" else ", ".join([first.replace("-", " ").replace("acl", "ACL"), *rest])


def groups(root):
    """Keys of LXD that are in no table, by what has them: mostly what is missing as a whole."""
    tables = dict(key_tables(root))
    lines = ["| of | keys |", "|---|---|"]
    for kind, names in keys_of_lxd(root).items():
        last = kind.split(":")[-1]
        ours = next((tables[name] for name in (last, last + "_pool") if name in tables), {})
        if kind.startswith("storage-volume:"):  # those of the volume, and the defaults that its pool has for it
            ours = {**tables["volume"], **{key.removeprefix("volume."): works for key, works in ours.items()}}
        forms = [re.compile(re.escape(key).replace(r"\*", ".+")) for key in ours]
        left = [name for name in names if not any(form.fullmatch(name) for form in forms)]
        if left:
            lines.append(f"| {label_of_lxd(kind)} | {quoted(left)} |")
    return lines


def keys(root):
    lines = ["| of | works | refused |", "|---|---|---|"]
    for name, works in key_tables(root):
        kinds = [quoted(key for key in works if works[key] == wanted) for wanted in (True, False)]
        lines.append(f"| {LABELS.get(name, name.replace('_', ' '))} | {kinds[0]} | {kinds[1]} |")
    return lines


# By table: the kind of the answers. What belongs to the other drivers is shown by tests/guest, or not.
KINDS = {"instance": "instance", "disk": "disk", "bridged": "nic", "p2p": "nic", "none": "none", "bridge": "network", "dir_pool": "pool",
         "btrfs_pool": "pool", "server": "server", "volume": "volume"}


# Of the server, which nobody else writes.
RECORDS = ("volatile.idmap.current", "volatile.idmap.next", "volatile.apply_nvram", "volatile.initial_source")
# As on any LXD that is no cluster, an error.
ALONE = {("GET", "/1.0/cluster/members")}


def unseen(root, answers):
    """What the page promises and no test has seen, one line each."""
    answered, seen = routes(root), set()
    patterns = sorted({path for _, path in answered}, key=lambda path: path.count("{"))
    forms = [(path, re.compile(re.sub(r"\{[^}]*\}", "[^/]+", path))) for path in patterns]
    for method, asked in answers["routes"]:
        asked = re.sub(r"^/1\.0/(containers|virtual-machines)(?=/|$)", "/1.0/instances", asked)
        path = next((path for path, form in forms if form.fullmatch(asked)), None)
        seen.add((method, path))
    yield from (f"{method} {path}" for method, path in sorted(answered - seen - ALONE))
    for name, works in key_tables(root):
        if name not in KINDS:
            continue
        taken, refused = (answers[which].get(KINDS[name], []) for which in ("taken", "refused"))
        for key, applied in works.items():
            if key in RECORDS:
                continue
            form = re.compile(re.escape(key).replace(r"\*", ".+"))
            if not any(form.fullmatch(one) for one in (taken if applied else refused)):
                yield f"{name}: {key} is never {'taken' if applied else 'refused'}"


def differences(root):
    return re.findall(r"^\| D\d+ \|.*$", (root / "docs/architecture.md").read_text(encoding="utf-8"), re.M)


def generated(root):
    answered = routes(root)
    return {"routes": table(answered), "missing": table(missing(root, answered)), "groups": groups(root), "keys": keys(root),
            "extensions": [quoted(announced(root))], "silent": [quoted(silent(root))],
            "differences": ["| | |", "|---|---|", *differences(root)]}


def filled(text, parts):
    for name, lines in parts.items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        if len(block.findall(text)) != 1:
            raise SystemExit(f"docs/compatibility.md: needs one block <!-- {name} --> … <!-- end -->")
        text = block.sub(lambda match, lines=lines: match.group(1) + "\n".join(lines) + "\n" + match.group(2), text)
    return text


def main(argv):
    if argv[:1] == ["--answers"]:
        answers = json.loads(pathlib.Path(argv[1]).read_text(encoding="utf-8"))
        left = list(unseen(pathlib.Path(argv[2]) if argv[2:] else pathlib.Path(__file__).parents[2], answers))
        print("\n".join(left) or "compatibility: the tests have seen what the page promises")
        return 1 if left else 0
    root = pathlib.Path(([a for a in argv if not a.startswith("-")] or [pathlib.Path(__file__).parents[2]])[0])
    page = root / "docs/compatibility.md"
    before = page.read_text(encoding="utf-8")
    after = filled(before, generated(root))
    if "--write" in argv:
        page.write_text(after, encoding="utf-8")
        return 0
    wrong = set(after.splitlines()) ^ set(before.splitlines())
    for line in sorted(wrong):
        print(("missing: " if line in after.splitlines() else "not so: ") + line[:160])
    if after != before:
        print("docs/compatibility.md is not true any more: tests/lint/check_compatibility.py --write")
        return 1
    print("compatibility: the page is true")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
