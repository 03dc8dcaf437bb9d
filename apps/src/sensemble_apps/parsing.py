"""Read the command line: find the command, import it, and parse its options into its dataclass."""

import ast
import re
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from importlib import import_module
from inspect import cleandoc, getsource
from itertools import pairwise, takewhile
from types import NoneType
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin, get_type_hints

from sensemble_apps.console.output import say
from sensemble_apps.errors import InputError
from sensemble_apps.options import Common, OptionForm

COMMANDS = {
    "demo": "Train on three sensors, export, run, audit and report: all in one.",
    "data build": "Build the embedded digits dataset, unless it exists.",
    "data example": "Make a small recording like a person's, for the tutorial.",
    "data prepare": "Write the index of a published dataset beside its media.",
    "data show": "Count what a dataset holds, and list its bad lines.",
    "data split": "Hold out whole groups of each class.",
    "train": "Pretrain, train specialists and distil them into one model.",
    "train matrix": "Run an experiment of the paper; every setting is an option.",
    "export": "Quantize and lower a trained model of a run into its `bundle/`.",
    "export verify": "Measure the parity of a bundle's encoders on this machine.",
    "bundle check": "Verify a bundle and run each encoder in its own process.",
    "bundle sign": "Sign a bundle with a private key.",
    "web": "Write a site that runs a bundle, or learns, in any browser, also offline.",
    "record": "Record sensors as a dataset, or takes of named classes in turn.",
    "run": "Run a bundle on sensors, or replay a dataset, a recording or a media file.",
    "serve": "Show a running bundle on a live page.",
    "studio": "Name classes, record takes, train and see the model live, on one page.",
    "adapt": "Let the sensors of a recording teach each other.",
    "audit": "Score a bundle on labelled data, with every set of sensors.",
    "compare": "Compare two bundles, runs or records, example by example.",
    "history": "Print what a record holds, session by session.",
    "label": "Score a recorded session with labels noted in the field.",
    "fleet": "Estimate the accuracy of a bundle on the devices that run it.",
    "fleet simulate": "Write heartbeats of devices with stated faults.",
    "report": "Write the page of a run, or print its metrics.",
    "doctor": "List what this machine has, and what to install for the rest.",
}
"""By name, a line for the help.

`export verify` is `commands.export_verify.main`. `data` is a group, no command: `data show` is
`commands.data.show`.
"""
_GROUPS = {name.partition(" ")[0] for name in COMMANDS} - COMMANDS.keys()

_HELP = """usage: sensemble COMMAND ...

Train with every sensor you have; deploy on whichever ones are live. `sensemble COMMAND --help` explains a
command.

commands:
"""
_METAVARS = {int: "N", float: "X"}
_Made = TypeVar("_Made")


def parse(argv: Sequence[str]) -> tuple[str, Common]:
    """Return the name of a command and its options, or print the help and exit; InputError for a mistake."""
    for length in (2, 1):  # `export verify` is a command; a run folder of that name is `./verify`
        name, rest = " ".join(argv[:length]), argv[length:]
        if name in COMMANDS:
            try:
                kind = _options_of(name)
            except ModuleNotFoundError:  # where a package is missing, the help still says what it does
                if not {"-h", "--help"}.isdisjoint(rest):
                    say(f"usage: sensemble {name} ...\n\n{COMMANDS[name]}")
                raise
            if hasattr(kind, "parse"):
                return name, kind.parse(rest)
            return name, read(kind, f"sensemble {name}", rest)
    raise _no_command(argv)


def command(name: str) -> Callable[[Any], None]:
    """Import the function of a command; it takes the options."""
    group, _, own = name.partition(" ")
    path, function = (group, own) if group in _GROUPS else (name.replace(" ", "_"), "main")
    found: Callable[[Any], None] = getattr(import_module(f"sensemble_apps.commands.{path}"), function)
    return found


def _options_of(name: str) -> Any:  # noqa: ANN401 - a dataclass
    return get_type_hints(command(name))["arguments"]


def read(kind: type[_Made], prog: str, argv: Sequence[str], default: _Made | None = None) -> _Made:
    """Parse `argv` into the dataclass `kind`; fields that it does not name keep the value of `default`."""
    helps = not {"-h", "--help"}.isdisjoint(argv)  # descriptions are read from the source
    parser, options = _parser(kind, prog, default, helps=helps)
    for name, count in Counter(word.partition("=")[0] for word in argv).items():
        if count > 1 and options.get(name) is False:
            raise InputError(f"{name}: is given {count} times; give it once")
    # Before what is required: a mistyped option is the reason that it is missing.
    for word, after in pairwise([*takewhile(lambda word: word != "--", argv), "--"]):
        name, equals, value = word.partition("=")
        # An unset variable of a shell gives an empty value; argparse takes `--NAME=--` for none.
        if name in options and (value in ("", "--") if equals else after == ""):
            raise InputError(f"{name}: has no value; give one, or leave {name} out")
        if name.startswith("--") and name not in {*options, "--help"}:
            similar = get_close_matches(name, options, 1)
            parser.error(f"{name}: no such option" + (f"; perhaps {similar[0]}" if similar else ""))
    values, unknown = parser.parse_known_args(argv)
    if unknown:
        what = "no such option" if unknown[0].startswith("-") else "one argument too many"
        parser.error(f"{unknown[0]}: {what}")
    return _make(kind, vars(values), "")


def parsers() -> Iterator[tuple[str, ArgumentParser]]:
    """Yield each command's name and its described parser, except `train matrix`, whose fields vary."""
    for name in COMMANDS:
        kind = _options_of(name)
        if not hasattr(kind, "parse"):
            yield name, _parser(kind, f"sensemble {name}", None, helps=True)[0]


def _parser(kind: type, prog: str, default: object, *, helps: bool) -> tuple["_Parser", dict[str, bool]]:
    """Return the parser of a dataclass, and the options of `_add_fields`."""
    below = [name for name in COMMANDS if f"sensemble {name}".startswith(f"{prog} ")]
    also = "".join(f"see also `sensemble {name} --help`: {COMMANDS[name]}" for name in below)
    parser = _Parser(prog=prog, description=cleandoc(kind.__doc__ or ""), epilog=also, allow_abbrev=False)
    parser.helps = helps
    return parser, _add_fields(parser, kind, default, "")


class _Parser(ArgumentParser):
    helps = False

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message.removeprefix('argument ')}; see `{self.prog} --help`")


def _no_command(argv: Sequence[str]) -> InputError:
    """Return why `argv` names no command; for `--help`, print the list of commands and exit."""
    group = f"{argv[0]} " if argv and argv[0] in _GROUPS else ""
    known = [name for name in COMMANDS if name.startswith(group)]
    word = "".join(argv[1 if group else 0 :][:1])
    if word in ("help", "-h", "--help"):
        width = max(map(len, known))
        lines = {name: COMMANDS[name] for name in known} | {"--version": "Print the version."}
        say(_HELP + "\n".join(f"  {name:{width}}  {line}" for name, line in lines.items()))
        raise SystemExit(0)
    if not word or word.startswith("-"):
        return InputError(f"name a command first: {', '.join(known)}; see `sensemble --help`")
    similar = get_close_matches(word, [name.removeprefix(group) for name in known], 1)
    remedy = f"perhaps {group}{similar[0]}" if similar else f"there are {', '.join(known)}"
    return InputError(f"{group}{word}: no such command; {remedy}")


def _add_fields(parser: _Parser, kind: type, instance: object, prefix: str) -> dict[str, bool]:
    """Add an option for each field, `--NAME.FIELD` for those of a nested dataclass.

    Returns the names of the options, and whether each may be repeated.
    """
    described, options = (_described(kind) if parser.helps else {}), dict[str, bool]()
    for one, hint, notes in _fields(kind):
        value = one.default if one.default_factory is MISSING else one.default_factory()
        if instance is not None:
            value = getattr(instance, one.name)
        name = prefix + one.name
        if hasattr(hint, "__dataclass_fields__"):
            options |= _add_fields(parser, hint, value, prefix if OptionForm.INLINE in notes else f"{name}.")
            continue
        text = "turn off: " * (value is True) + described.get(one.name, "")
        if hint is not bool and value not in (MISSING, None, (), "", {}):
            text += f" (default: {' '.join(map(str, value)) if isinstance(value, tuple) else value})"
        given: dict[str, Any] = {
            "help": text.strip().replace("%", "%%"),
            "default": value,
            **_form(hint, notes, value),
        }
        if OptionForm.POSITIONAL in notes:
            if "choices" not in given:
                given["metavar"] = name.upper()
            given["nargs"] = "+" if "nargs" in given else None if value is MISSING else "?"
            parser.add_argument(name, **given)
            continue
        before, dot, last = name.replace("_", "-").rpartition(".")
        option = f"--{before}{dot}{'no-' * (value is True)}{last}"
        parser.add_argument(option, dest=name, required=value is MISSING, **given)
        options[option] = OptionForm.REPEATED in notes
    return options


def _form(hint: Any, notes: Sequence[object], value: object) -> dict[str, Any]:  # noqa: ANN401 - a type
    if hint is bool:
        return {"action": "store_false" if value is True else "store_true"}
    if NoneType in get_args(hint):
        hint = next(kind for kind in get_args(hint) if kind is not NoneType)
    first, *others = get_args(hint) if get_origin(hint) is tuple else (hint,)
    named = [note for note in notes if isinstance(note, str)] or [_METAVARS.get(first, "TEXT")]
    form: dict[str, Any] = {"metavar": named[-1]}
    if OptionForm.REPEATED in notes:
        return form | {"action": "append", "default": []}
    if get_origin(hint) is Literal:
        return {"choices": get_args(hint)}
    if get_origin(hint) is dict:
        return {"nargs": "*", "type": _pair, "metavar": "NAME=VALUE"}
    if get_origin(hint) is tuple:
        return form | {"nargs": "*" if others == [...] else 1 + len(others), "type": first}
    return form | {"type": next(filter(callable, notes), hint)}


def _make(kind: type[_Made], values: Mapping[str, Any], prefix: str) -> _Made:
    made: dict[str, Any] = {}
    for one, hint, notes in _fields(kind):
        name = prefix + one.name
        if hasattr(hint, "__dataclass_fields__"):
            made[one.name] = _make(hint, values, prefix if OptionForm.INLINE in notes else f"{name}.")
        elif isinstance(values[name], list):
            made[one.name] = (dict if get_origin(hint) is dict else tuple)(values[name])
        else:
            made[one.name] = values[name]
    return kind(**made)


def _fields(kind: type) -> Iterator[tuple[Field[Any], Any, Sequence[object]]]:
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        hint = hints[one.name]
        yield (one, hint.__origin__, hint.__metadata__) if get_origin(hint) is Annotated else (one, hint, ())


def _described(kind: type) -> dict[str, str]:
    """Return the help of each field: the text below it, or its line in the class's docstring."""
    texts = dict[str, str]()
    for base in filter(is_dataclass, reversed(kind.__mro__)):
        _, _, rows = cleandoc(base.__doc__ or "").partition("Attributes:\n")
        texts |= re.findall(r"^    (\w+): (.*(?:\n        .*)*)", rows, re.MULTILINE)
        for row, below in pairwise(ast.parse(getsource(base)).body[0].body):  # type: ignore[attr-defined]
            match row, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    texts[name] = text
    return {name: " ".join(text.split()) for name, text in texts.items()}


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ArgumentTypeError(f"{text}: write NAME=VALUE")
    return name, value
