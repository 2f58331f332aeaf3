# SPDX-License-Identifier: Apache-2.0
"""What we owe, and the table that says whether we keep it."""
import statistics

# Row (as it begins), what it is compared with, the bound.
OWED = [
    ("create from cached image", "LXD", "<=", 1 / 5),
    ("start", "lxc-*", "<=", 1.3),
    ("stop --force", "lxc-*", "<=", 1.3),
    ("exec /bin/true", "lxc-*", "<=", 1),
    ("delete", "LXD", "<=", 1 / 3),
    ("GET /1.0, requests/s", "LXD", ">=", 10),
    ("list of instances, recursion=1", "LXD", "<=", 1 / 10),
    ("list of running instances, recursion=2", "LXD", "<=", 1 / 5),
    ("idle daemon, MiB", "MiB", "<=", 12),
    ("Debian image -> instance, first", "LXD", "<=", 1 / 4),
    ("Debian image -> instance, cached", "LXD", "<=", 1 / 4),
    ("Debian image import and first instance", "LXD", "<=", 1 / 2),
    ("Debian image import", "LXD", "<=", 2),
    ("export of Debian", "LXD", "<=", 1 / 2),
    ("import of Debian", "LXD", "<=", 1 / 2),
    ("Debian snapshot", "LXD", "<=", 1 / 2),
    ("Debian restore", "LXD", "<=", 1 / 2),
    ("Debian copy", "LXD", "<=", 1 / 2),
    ("Debian publish", "LXD", "<=", 1 / 2),
    ("lxd-benchmark launch", "LXD", "<=", 1 / 3),
    ("exec, stdin of", "LXD", "<=", 1 / 2),
    ("exec, stdout of", "LXD", "<=", 1 / 2),
    ("file push of", "LXD", "<=", 1 / 2),
    ("file pull of", "LXD", "<=", 1 / 2),
]


def middle(values):
    return statistics.median(values) if values else None


def cell(number, width=10):
    return f"{number:{width}.2f}" if number is not None else f"{'-':>{width}}"


def line_of(what, tables, owed=None):
    lxd, plain, ours = (middle(tables.get(kind, {}).get(what)) for kind in ("lxd", "plain", "lxdcored"))
    ratios = {"LXD": ours / lxd if ours is not None and lxd else None, "lxc-*": ours / plain if ours is not None and plain else None,
              "MiB": ours}
    runs = len(tables.get("lxdcored", {}).get(what, []))
    text = f"{f'{what} ({runs})':44} {cell(lxd)} {cell(plain)} {cell(ours)} {cell(ratios['LXD'], 8)} {cell(ratios['lxc-*'], 8)}"
    if owed:
        _, base, sign, bound = owed
        value = ratios[base]
        kept = "not measured" if value is None else "kept" if (value <= bound if sign == "<=" else value >= bound) else "MISSED"
        text += f"  {sign} {bound:.2f} {base:5}  {kept}"
    return text


def lines(tables, known):
    """The rows that are not among the known ones; what a long run has found so far."""
    for what in dict.fromkeys(row for kind, table in tables.items() for row in table if row not in known[kind]):
        print(line_of(what, tables), flush=True)


def report(tables):
    print(f"\n{'median of (n), ms unless said':44} {'real LXD':>10} {'lxc-*':>10} {'lxdcored':>10} {'of LXD':>8} {'of lxc-*':>8}  owed")
    rows = list(dict.fromkeys(row for table in tables.values() for row in table))
    for owed in OWED:
        for what in [row for row in rows if row.startswith(owed[0])] or [owed[0]]:
            print(line_of(what, tables, owed))
            rows = [row for row in rows if row != what]
    for what in rows:
        print(line_of(what, tables))
