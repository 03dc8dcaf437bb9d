"""Write the command line's reference from the commands themselves: a hook of mkdocs (`mkdocs.yml`)."""

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Iterator
from html import escape

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from sensemble_apps.parsing import COMMANDS, parsers

PAGE = "reference/command-line.md"
INTRODUCTION = """# The command line

This page is generated from the commands' own help: `sensemble COMMAND --help` prints the same.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    files.append(File.generated(config, PAGE, content="\n".join(reference())))
    return files


def reference() -> Iterator[str]:
    """Yield the page's lines."""
    yield INTRODUCTION
    found = dict(parsers())
    yield "| command | does |\n| --- | --- |"
    for name, line in COMMANDS.items():
        yield f"| [`{name}`](#{name.replace(' ', '-')}) | {line} |"
    for name in COMMANDS:
        yield f"\n## {name}\n"
        if name in found:
            yield from described(found[name])
        else:
            yield f"{COMMANDS[name]} `sensemble {name} --help` lists the experiments.\n"


def described(parser: ArgumentParser) -> Iterator[str]:
    """Yield a command's description and a definition of each of its options."""
    yield f"{parser.description}\n"
    # Positional arguments first; argparse has no other list of them.
    for action in sorted(parser._actions, key=lambda one: bool(one.option_strings)):  # noqa: SLF001
        if action.help == SUPPRESS or action.dest == "help":
            continue
        names = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        value = "" if action.nargs == 0 or not action.option_strings else f" {values(action)}"
        required = " Required." if action.required and action.option_strings else ""
        text = escape((action.help or "").replace("%%", "%"), quote=False)
        yield f"`{names}{value}`\n:   {text}{required}\n"


def values(action: object) -> str:
    """Return how the value of an option is written."""
    choices, metavar = getattr(action, "choices", None), getattr(action, "metavar", None)
    return "|".join(map(str, choices)) if choices else str(metavar)
