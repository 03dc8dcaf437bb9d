"""Read the command line: find the command, parse its arguments, and refuse bad ones in one line."""

import io
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr
from functools import reduce
from importlib import import_module
from operator import or_
from typing import Annotated, Any

import tyro

from sensemble_apps import arguments
from sensemble_apps.arguments import Common
from sensemble_apps.command_table import COMMANDS, GROUPS
from sensemble_apps.console.wording import words
from sensemble_apps.errors import InputError

_DESCRIPTION = (
    "Train with every sensor you have; deploy on whichever ones are live. `--version` prints the version."
)
_FRAME, _RULE = "│╰╯ ", "─-╯ "  # the characters that tyro draws the box of an error with
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def parse(argv: Sequence[str]) -> tuple[str, Common]:
    """Return the command's name in `COMMANDS` and its arguments; for `--help`, print it and exit.

    Raises:
        InputError: there is no such command, or an argument is wrong; says which.
    """
    _check_name(argv)
    _check_once(argv)
    # Parsing one command alone saves a quarter of a second, and `run` shall predict within one.
    for length in (
        2,
        1,
    ):  # `export verify` before `export`: a run folder called `verify` is written `./verify`
        name, rest = " ".join(argv[:length]), argv[length:]
        if name in COMMANDS:
            return name, _parse_one(name, rest)
    group = argv[0] if argv and argv[0] in GROUPS else ""
    prog = f"sensemble {group}".rstrip()
    tyro_parse(_union(group), prog, ["--help"], description=GROUPS.get(group, _DESCRIPTION))
    raise AssertionError("the help ends the process")


def tyro_parse(kind: Any, prog: str, argv: Sequence[str], **options: Any) -> Any:  # noqa: ANN401 - as tyro's
    """Parse `argv` into a `kind`, a class or a union of them; for `--help`, print it and exit.

    Raises:
        InputError: an argument is wrong; says which in one line, where tyro draws a box.
    """
    errors = io.StringIO()
    try:
        with redirect_stderr(errors):
            return tyro.cli(kind, prog=prog, args=argv, config=(tyro.conf.FlagCreatePairsOff,), **options)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(f"{_reason(errors.getvalue(), argv)}; see `{prog} --help`") from None


def _parse_one(name: str, argv: Sequence[str]) -> Common:
    command = COMMANDS[name]
    if command.arguments is None:
        parsed: Common = import_module(command.module).parse(argv)
    else:
        parsed = tyro_parse(command.arguments, f"sensemble {name}", argv, description=command.description)
    return parsed


def _union(group: str) -> Any:  # noqa: ANN401 - a union of types, made from a table
    """Return the union of a group's commands, or of all, for the help that lists them."""
    kinds: dict[str, Any] = {}
    for name, command in COMMANDS.items():
        first, _, second = name.partition(" ")
        if group and first == group:
            kinds[second] = Annotated[command.arguments, tyro.conf.subcommand(second)]
        elif not group and first in GROUPS:
            kinds[first] = Annotated[_union(first), tyro.conf.subcommand(first, description=GROUPS[first])]
        elif not group and not second:
            help_line = tyro.conf.subcommand(first, description=command.description)
            kinds[first] = Annotated[command.arguments, help_line]
    return reduce(or_, kinds.values())


def _check_name(argv: Sequence[str]) -> None:
    """Refuse an unknown command before tyro does, which for `--help` would print the help of all."""
    known, before = list(dict.fromkeys(name.partition(" ")[0] for name in COMMANDS)), ""
    if argv and argv[0] in GROUPS:
        before, argv = f"{argv[0]} ", argv[1:]
        known = [name.removeprefix(before) for name in COMMANDS if name.startswith(before)]
    given = argv[0] if argv else ""
    if given in (*known, "-h", "--help"):
        return
    if not given or given.startswith("-"):
        raise InputError(f"name a command first: {before}{', '.join(known)}; see `sensemble {before}--help`")
    raise InputError(f"{before}{given}: no such command; there are {words(known)}")


def _check_once(argv: Sequence[str]) -> None:
    """Refuse an option that is given twice, unless it is one that may be repeated."""
    options = Counter(word.partition("=")[0] for word in argv if word.startswith("--"))
    for option, count in options.items():
        if count > 1 and option not in arguments.REPEATABLE:
            raise InputError(f"{option}: is given {count} times; give it once")


def _reason(box: str, argv: Sequence[str]) -> str:
    """Return the reason that an error of tyro's gives, in one line.

    The error is a box: its title in the frame, then parts with a rule between them, the last of which points
    to the help. A form that is not known is shown as it is, on one line.
    """
    title, *rows = _COLOUR.sub("", box).splitlines() or [""]
    parts: list[list[str]] = [[]]
    for row in (row[2:].rstrip(_FRAME) for row in rows):  # each begins with a frame or, in ASCII, with spaces
        if row.strip(_RULE):
            parts[-1].append(row)
        elif row and parts[-1]:
            parts.append([])
    said, help_text = " ".join(row.strip() for row in parts[0]), [row for part in parts[1:] for row in part]
    names = [row.strip() for row in parts[0] if re.match(r" {4}\S", row)]
    if "Required options" in title and names:
        return f"{words(names)}: not given"
    if "Unrecognized options" in title:
        similar = [row.split()[0] for row in help_text if re.match(r" {4}-", row)]
        unknown = said.removeprefix("Unrecognized options:").strip().replace(",", "")
        what = "no such option" if unknown.startswith("-") else "one argument too many"
        return f"{unknown}: {what}" + (f"; perhaps {similar[0]}" if similar else "")
    if found := re.match(r"Missing value for argument '([^']+)'", said):
        return f"{found[1]}: needs a value"
    if found := re.match(r"invalid choice '(.*)' for argument .* Expected one of \((.*)\)", said):
        return f"{found[1]}: no such choice; there are {found[2].replace(chr(39), '')}"
    if found := re.match(r"Error parsing ([^:]+):", said):
        option = found[1]
        usage = next((row.strip() for row in help_text if row.startswith(f"    {option}")), option)
        return f"{option} {_value(option, argv)}: not a value that it takes; give {usage}"
    return said


def _value(option: str, argv: Sequence[str]) -> str:
    """Return the value that was given for an option, or nothing where it is not found."""
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else following
    return ""
