#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the manual page or the shell completions of a program from what its --help says, so that there is one source.

    from_help.py man|bash|zsh|fish PROGRAM > FILE
"""
import os
import re
import subprocess
import sys

OPTION = re.compile(r"^  (?P<names>-\S*(?:,-\S+)*)(?P<value>(?: [A-Z.]+)*)\s*(?P<text>.*)$")
ENTRY = re.compile(r"^  (?P<name>[a-z][\w-]*)\s+(?P<text>.*)$")


class Command:
    """One --help: description, options, positional arguments, subcommands."""

    def __init__(self, program: str, *verb: str):
        env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
        lines = subprocess.run([program, *verb, "--help"], capture_output=True, text=True, check=True,
                               env=env).stdout.splitlines()
        self.description = lines[0]
        self.options: list[tuple[list[str], str, str]] = []
        self.arguments: list[tuple[str, str]] = []
        self.commands: list[tuple[str, str]] = []
        section = ""
        for line in lines[1:]:
            if line and not line.startswith(" "):
                section = line
            elif match := OPTION.match(line):
                self.options.append((match["names"].split(","), match["value"].strip(), match["text"]))
            elif line.startswith(" " * 20) and self.options and section.startswith("Options"):
                names, value, text = self.options[-1]
                self.options[-1] = names, value, f"{text} {line.strip()}".strip()
            elif match := ENTRY.match(line):
                target = self.commands if section.startswith("Subcommands") else self.arguments
                target.append((match["name"], match["text"]))


def quote_roff(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return "\\&" + text if text.startswith((".", "'")) else text


def options_roff(command: Command) -> list[str]:
    lines = []
    for names, value, text in command.options:
        value = f" \\fI{quote_roff(value)}\\fR" if value else ""
        lines += [".TP", ", ".join(f"\\fB{quote_roff(name)}\\fR" for name in names) + value, quote_roff(text)]
    return lines


def man(name: str, top: Command, verbs: dict[str, Command]) -> list[str]:
    lines = [f'.TH {name.upper()} 8 "" "lxdcore" "System administration"', ".SH NAME",
             f"{name} \\- manager of system containers with the interface of LXD 5.0", ".SH SYNOPSIS",
             f".B {name}", r"[\fIoptions\fR] [\fIcommand\fR [\fIoptions\fR]]", ".SH DESCRIPTION",
             quote_roff(top.description), ".SH OPTIONS", *options_roff(top), ".SH COMMANDS"]
    for verb, text in top.commands:
        arguments = "".join(f" \\fI{quote_roff(argument)}\\fR" for argument, _ in verbs[verb].arguments)
        lines += [f".SS {verb}{arguments}", quote_roff(text) + "."]
        for argument, what in verbs[verb].arguments:
            lines += [".TP", f"\\fI{quote_roff(argument)}\\fR", quote_roff(what)]
        lines += options_roff(verbs[verb])
    lines += [".SH ENVIRONMENT", ".TP", ".B LXD_DIR", "The state directory, /var/lib/lxd without it.", ".TP",
              ".B LXD_UNPRIVILEGED_ONLY", "When true, no privileged container can be made or started.",
              ".SH FILES", ".TP", ".I /var/lib/lxd/unix.socket", "Where clients connect.",
              ".SH SEE ALSO", r"\fBlxc\fR(1), \fBsystemctl\fR(1)"]
    return lines


def all_names(command: Command) -> list[str]:
    return [name for names, _, _ in command.options for name in names]


def bash(name: str, top: Command, verbs: dict[str, Command]) -> list[str]:
    function = "_" + re.sub(r"\W", "_", name)
    lines = [f"# bash completion of {name}", f"{function}() {{", "    local word verb words=",
             '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do', '        case $word in',
             f"        {'|'.join(verbs)}) verb=$word; break ;;", "        esac", "    done", "    case ${verb-} in"]
    for verb, command in verbs.items():
        extra = " local global" if verb == "sql" else ""
        lines.append(f'    {verb}) words="{" ".join(all_names(command))}{extra}" ;;')
    lines += [f'    *) words="{" ".join([*verbs, *all_names(top)])}" ;;', "    esac",
              '    mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")', "}",
              f"complete -o default -F {function} {name}"]
    return lines


def fish(name: str, top: Command, verbs: dict[str, Command]) -> list[str]:
    def text(value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def options(command: Command, condition: str) -> list[str]:
        lines = []
        for names, value, what in command.options:
            flags = "".join(f" -l {n[2:]}" if n.startswith("--") else f" -s {n[1:]}" for n in names)
            lines.append(f"complete -c {name} -n {text(condition)}{flags}{' -r' if value else ''} -d {text(what)}")
        return lines

    lines = [f"# fish completion of {name}", f"complete -c {name} -f"]
    for verb, what in top.commands:
        lines.append(f"complete -c {name} -n __fish_use_subcommand -a {verb} -d {text(what)}")
    lines += options(top, "__fish_use_subcommand")
    for verb, command in verbs.items():
        lines += options(command, f"__fish_seen_subcommand_from {verb}")
    return lines


def zsh(name: str, top: Command, verbs: dict[str, Command]) -> list[str]:
    def text(value: str) -> str:
        return re.sub(r"([\[\]:'])", r"\\\1", value).replace("\\'", "'\\''")

    def arguments(command: Command) -> list[str]:
        return [f"'{n}[{text(what)}]{f':{value.lower()}:_files' if value else ''}'"
                for names, value, what in command.options for n in names]

    lines = [f"#compdef {name}", "local state", "_arguments -C \\"]
    lines += [f"    {entry} \\" for entry in arguments(top)]
    lines += ["    '1:command:->command' '*::argument:->argument'", "case $state in", "command)",
              "    local -a commands=("]
    lines += [f"        '{verb}:{text(what)}'" for verb, what in top.commands]
    lines += ["    )", "    _describe command commands ;;", "argument)", "    case $words[1] in"]
    for verb, command in verbs.items():
        lines.append(f"    {verb}) _arguments {' '.join(arguments(command))} ;;")
    return lines + ["    esac ;;", "esac"]


def main() -> int:
    kind, program = sys.argv[1:3]
    name = os.path.basename(program)
    top = Command(program)
    verbs = {verb: Command(program, verb) for verb, _ in top.commands}
    print("\n".join({"man": man, "bash": bash, "zsh": zsh, "fish": fish}[kind](name, top, verbs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
