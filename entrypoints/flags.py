"""Command-line flags, derived from the configuration dataclasses."""

import argparse
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, NoReturn

from tomodistill.errors import InputError
from tomodistill.scales import AUTO, RECIPE, RECIPES, SCALES, Scale, configure, flag_name, parse
from tomodistill.subtomograms.mixing import TrainingData, check_same_voxels, open_parts

DEFAULT_SCALE = "quick"
_FIELD = re.compile(r"^    (\w+): .* = .*?  # (.+)$", re.M)  # of a dataclass, and its comment


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
    description: str | None,
    flags: dict[str, str],
    arguments: Sequence[str],
    *configs: type[Any],
) -> dict[str, str]:
    """Flag -> text given on the command line, the default where none was.

    `configs`: those beside the scale's whose fields are flags.
    """
    parser = _Parser(prog="python -m entrypoints ...", description=description, allow_abbrev=False)
    known = _comments(configs)
    for name, default in flags.items():
        words = "; ".join(filter(None, (known.get(name), f"default: {default}")))
        parser.add_argument(f"--{name}", default=default, help=words.replace("%", "%%"))
    return vars(parser.parse_args(arguments))


def _comments(configs: Sequence[type[Any]]) -> dict[str, str]:
    """Flag -> what stands beside its field in the source: unit and meaning have one home."""
    found = {
        "scale": f"{', '.join(SCALES)}: chooses every other",
        RECIPE: f"how students learn: {' or '.join(RECIPES)}",
    }
    for phase, config in vars(SCALES[DEFAULT_SCALE]).items():
        pairs = _fields(type(config)).items()
        found |= {flag_name(phase, name): comment for name, comment in pairs}
    for config in configs:
        found |= _fields(config)
    return found


def _fields(config: type[Any]) -> dict[str, str]:
    """Name -> comment, of those that it inherits too."""
    found: dict[str, str] = {}
    for origin in reversed(config.__mro__[:-1]):
        found |= dict(_FIELD.findall(inspect.getsource(origin)))
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
    """The configuration of every phase that these flags ask for.

    Box and voxel spacing are those of the sets in `data`, where there are some.
    """
    flags = {name: text for name, text in given.items() if name != "scale"}
    return configure(given["scale"], {**flags, **_voxels(flags)})


def _voxels(flags: Mapping[str, str]) -> dict[str, str]:
    """Flag -> text, by the sets in `data`. Raises InputError for flags that say otherwise."""
    asked = flags.get("data", AUTO)
    sets = open_parts(TrainingData(asked)) if asked != AUTO else []
    if not sets:
        return {}
    check_same_voxels(sets)
    header = sets[0].header
    found = {"box": header.box, "voxel_spacing": header.voxel_spacing}
    for flag, value in found.items():
        asked = flags.get(flag, AUTO)
        if asked != AUTO and parse(flag, asked, type(value)) != value:
            raise InputError(
                expected=f"{flag}={value:g}, that of {sets[0].path}",
                found=f"{flag}={asked}",
                todo=f"Leave {flag} out.",
            )
    return {flag: f"{value:.15g}" for flag, value in found.items()}


def config_from(config: type[Any], given: dict[str, str]) -> Any:
    """A configuration dataclass from the flags that carry its fields' names."""
    values = {f.name: parse(f.name, given[f.name], type(f.default)) for f in fields(config)}
    return config(**values)
