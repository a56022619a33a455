"""Transfer sets: what a student on soft labels learns from beside the training part."""

from dataclasses import replace
from pathlib import Path

from entrypoints.alike import check_alike
from entrypoints.simulate import ensure_recorded, structures_of
from tomodistill.distillation.config import StudentConfig
from tomodistill.distillation.parts import training_views
from tomodistill.errors import InputError
from tomodistill.scales import Scale
from tomodistill.subtomograms.contents import check_new
from tomodistill.subtomograms.dataset import SubtomogramSet, open_set
from tomodistill.subtomograms.views import legal_views

NONE = "none"
_OTHER_SEED = 1_000_000  # added to the seed of the set: other items like its own


def transfer_sets(
    scale: Scale, data: SubtomogramSet, config: StudentConfig
) -> tuple[SubtomogramSet, ...]:
    """The sets that `config.transfer` names: files, or so many items simulated like `data`.

    Every item counts, labelled or not, whatever its split. Raises InputError for a set of another
    kind and for an item that is in any part of `data` already.
    """
    sets = _simulated(scale, config) if config.transfer.isdigit() else _opened(config, verify=True)
    for each in sets:
        check_alike(each, data.header)
        _check_views(each, training_views(data, config))
    if sets:
        check_new(sets, to=data)
    return sets


def check_transfer(scale: Scale) -> None:
    """Raises InputError for a `transfer` that names nothing, before hours of other phases."""
    if not scale.student.transfer.isdigit():
        _opened(scale.student, verify=False)
    elif int(scale.student.transfer) == 0:
        raise _refusal("0 items")
    elif not scale.data.has_simulated:
        raise _refusal(f"{scale.student.transfer} items to simulate like {scale.data.data}")


def _simulated(scale: Scale, config: StudentConfig) -> tuple[SubtomogramSet, ...]:
    of_set = scale.simulation
    more = replace(of_set, items=int(config.transfer), seed=of_set.seed + _OTHER_SEED)
    try:
        return (ensure_recorded(more, structures_of(more)).data,)
    except InputError as error:  # the set's own flags were fine: say which is not
        todo = error.todo.replace("items=", "transfer=")
        raise InputError(expected=error.expected, found=error.found, todo=todo) from error


def _opened(config: StudentConfig, *, verify: bool) -> tuple[SubtomogramSet, ...]:
    named = [] if config.transfer == NONE else config.transfer.split(",")
    paths = [Path(name.strip()) for name in named]
    for path in paths:
        if not path.is_file():
            raise _refusal(f"no file on this machine: {path}")
    return tuple(open_set(path, verify=verify) for path in paths)


def _check_views(data: SubtomogramSet, views: tuple[str, ...]) -> None:
    if not set(views) <= set(legal_views(data.columns["tilt_range"])):
        raise InputError(
            expected=f"a transfer set whose missing wedge the views {', '.join(views)} keep",
            found=f"tilt ranges that are not symmetric, or unknown, in {data.path}",
            todo="Set student_augment to false, or ingest it with its tilt_range=, if it is known.",
        )


def _refusal(found: str) -> InputError:
    return InputError(
        expected="transfer: none, a number of items, or paths of subtomogram sets, comma-separated",
        found=found,
        todo="Make a set with `simulate` or `ingest`; a number only with data=simulated.",
    )
