"""Command-line flags, derived from the configuration dataclasses."""

import argparse
import inspect
import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NoReturn

from tomodistill.errors import InputError
from tomodistill.scales import AUTO, RECIPE, RECIPES, SCALES, Scale, configure, flag_name, parse

DEFAULT_SCALE = "quick"


def scale_flags(*phases: str) -> dict[str, str]:
    """Flag -> default of an entry point that needs these phases; `auto` = as the scale has it."""
    configs = vars(SCALES[DEFAULT_SCALE])
    names = [flag_name(phase, field.name) for phase in phases for field in fields(configs[phase])]
    recipe = {RECIPE: AUTO} if "student" in phases else {}
    return {"scale": DEFAULT_SCALE, **recipe, **dict.fromkeys(names, AUTO)}


def config_flags(config: type[Any]) -> dict[str, str]:
    """Flag -> default of an entry point with a configuration of its own."""
    return {field.name: str(field.default) for field in fields(config)}


def parse_flags(
    description: str | None, flags: dict[str, str], arguments: Sequence[str]
) -> dict[str, str]:
    """Flag -> text given on the command line, the default where none was."""
    parser = _Parser(prog="python -m entrypoints ...", description=description, allow_abbrev=False)
    known = _comments()
    for name, default in flags.items():
        words = "; ".join(filter(None, (known.get(name), f"default: {default}")))
        parser.add_argument(f"--{name}", default=default, help=words.replace("%", "%%"))
    return vars(parser.parse_args(arguments))


def _comments() -> dict[str, str]:
    """Flag -> what stands beside its field in the source: unit and meaning have one home."""
    found = {
        "scale": f"{', '.join(SCALES)}: chooses every other",
        RECIPE: f"how students learn: {' or '.join(RECIPES)}",
    }
    for phase, config in vars(SCALES[DEFAULT_SCALE]).items():
        for origin in reversed(type(config).__mro__[:-1]):
            pairs = re.findall(r"^    (\w+): .* = .*?  # (.+)$", inspect.getsource(origin), re.M)
            found |= {flag_name(phase, name): comment for name, comment in pairs}
    return found


class _Parser(argparse.ArgumentParser):
    """One line for a mistake, as everywhere, in place of every flag there is."""

    def error(self, message: str) -> NoReturn:
        raise InputError(
            expected="flags that this entry point has",
            found=message,
            todo="See them: PYTHONPATH=src python -m entrypoints NAME --help",
        )


def scale_from(given: dict[str, str]) -> Scale:
    """The configuration of every phase that these flags ask for."""
    return configure(
        given["scale"], {name: text for name, text in given.items() if name != "scale"}
    )


def config_from(config: type[Any], given: dict[str, str]) -> Any:
    """A configuration dataclass from the flags that carry its fields' names."""
    values = {f.name: parse(f.name, given[f.name], type(f.default)) for f in fields(config)}
    return config(**values)
