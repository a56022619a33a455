"""A student and its teacher on other data than theirs: every SNR of `snrs` with every tilt range.

The student is the one in production, the newest version of `student`, or `version`. Give scale,
structures and what else makes a set as for its training. No network has seen the items: 40 of each
class where `items` is auto, and all of them count. Sets that exist are found again.
"""

from dataclasses import dataclass, replace
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from entrypoints.flags import parse_flags, scale_from
from entrypoints.grid import OF_SET, SNRS, TILTS, configs_of
from entrypoints.preview import tilts
from entrypoints.promote import chosen_or_production
from entrypoints.simulate import RecordedSet, ensure_recorded, structures_of
from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.evaluation.accuracy import Evaluation, accuracy_rate_interval, evaluate
from tomodistill.evaluation.robustness import (
    Condition,
    confidence,
    robustness_figure,
    robustness_table,
    trained_on,
)
from tomodistill.evaluation.table import Interval, Link
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.version import Manifest
from tomodistill.scales import AUTO
from tomodistill.simulation.config import Range, SimulationConfig
from tomodistill.simulation.plan import class_names
from tomodistill.simulation.structures import Structure
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.subtomograms.row_file import rows_per_block
from tomodistill.tracking.links import run_url
from tomodistill.tracking.records import (
    log_description,
    log_figure,
    log_metrics,
    log_set,
    log_tags,
    log_text,
)
from tomodistill.tracking.registry import download, resolve
from tomodistill.tracking.runs import phase_run, take_over_run
from tomodistill.tracking.versions import DIGEST_TAG, ResolvedVersion

STUDENT, VERSION = "student", "version"  # flags, as those of `promote`
FLAGS = {
    STUDENT: AUTO,
    VERSION: AUTO,
    **OF_SET,
    SNRS: AUTO,
    TILTS: "60,50,40",
}
_TIMES = (4, 2, 1, 0.5)  # the SNR of the scale, where `snrs` is auto
_OF_CLASS = 40  # items, where `items` is auto
_OTHER_SEED = 2_000_000  # added to the seed of the set: other items than those of any training


@dataclass(frozen=True)
class Pair:
    """A student in the registry and its teacher."""

    version: ResolvedVersion
    student: Classifier
    teacher: Classifier

    @property
    def manifest(self) -> Manifest:
        """The student's."""
        return self.student.manifest


def main(arguments: list[str]) -> None:
    """The entry point."""
    given, run_id = parse_flags(__doc__, FLAGS, arguments), take_over_run()
    student, version = given.pop(STUDENT), given.pop(VERSION)
    if given[SNRS] == AUTO:
        given[SNRS] = _snrs(given)
    configs = configs_of(given)
    structures = structures_of(configs[0])
    configs = [_unseen(config, structures, given["items"]) for config in configs]
    pair = _load(chosen_or_production(student, version))
    _check(configs[0], structures, pair.manifest)
    name = f"robustness of version {pair.version.version}, {len(configs)} sets"
    with phase_run("robustness", name=name, run_id=run_id) as run:
        conditions = [_measure(c, ensure_recorded(c, structures), pair) for c in configs]
        _record(conditions, pair)
    plain = [replace(of, data=Link(of.data.text, "")) for of in conditions]
    print(f"{_title(pair)}\n\n{robustness_table(plain).markdown()}")
    print(f"\ntable and figure: {run_url(run)}")


def _snrs(given: dict[str, str]) -> str:
    """From four times the SNR of these flags to half of it; of a range, its geometric mean."""
    asked = {flag: text for flag, text in given.items() if flag in OF_SET}
    snr = scale_from(asked).simulation.snr
    return ",".join(f"{times * sqrt(snr.low * snr.high):.3g}" for times in _TIMES)


def _unseen(
    config: SimulationConfig, structures: tuple[Structure, ...], items: str
) -> SimulationConfig:
    """The configuration with items of its own, so many of each class."""
    few = ceil(_OF_CLASS * (len(structures) + config.none))
    seed = config.seed + _OTHER_SEED
    return replace(config, seed=seed, items=few if items == AUTO else config.items)


def _load(chosen: ResolvedVersion) -> Pair:
    """The version and the teacher that its ratios are against."""
    student = Classifier.load(download(chosen, places.models()))
    known = {DIGEST_TAG: student.manifest.digests["teacher"]}
    teacher = replace(resolve(f"models:/{chosen.tags['teacher.model_id']}"), tags=known)
    return Pair(chosen, student, Classifier.load(download(teacher, places.models())))


def _check(config: SimulationConfig, structures: tuple[Structure, ...], manifest: Manifest) -> None:
    """Raises InputError unless the student can classify such sets; none is made yet."""
    names = class_names(config, structures)
    pairs = {
        "box": (manifest.box, config.box),
        "voxel_spacing": (manifest.voxel_spacing, config.voxel_spacing),
        "classes": (", ".join(manifest.class_names), ", ".join(names)),
    }
    for flag, (wanted, found) in pairs.items():
        if wanted != found:
            raise InputError(
                expected=f"sets with the student's {flag}, {wanted}",
                found=f"{found}",
                todo="Give scale, structures, classes, none, box and voxel_spacing as it was "
                "trained with, or another student.",
            )


def _measure(config: SimulationConfig, made: RecordedSet, pair: Pair) -> Condition:
    """Both networks over all items of one set, into the active run too."""
    data, manifest = made.data, pair.manifest
    _check_unseen(data, manifest)
    log_set(data, "robustness")
    logits = _logits(pair.student, data)
    unknown, error = confidence(logits, data.labels, manifest)
    student, teacher = (
        evaluate(of, data.labels, data.header.class_names)
        for of in (logits, _logits(pair.teacher, data))
    )
    condition = Condition(
        data=Link(data.digest[:12], run_url(made.run)),
        snr=str(config.snr),
        tilts=tilts(config),
        trained_on=trained_on(manifest, snr=config.snr, tilt_range=config.tilt_range),
        items=student.items,
        student=_interval(student),
        teacher=_interval(teacher),
        accuracy_rate=accuracy_rate_interval(
            student=student.decisions == data.labels, teacher=teacher.decisions == data.labels
        ),
        unknown=unknown,
        ece=error,
    )
    part = _part(config)
    beside = {"teacher_accuracy": teacher.accuracy, "accuracy_rate": condition.accuracy_rate.value}
    log_metrics(student.metrics(part) | {f"{part}/{name}": v for name, v in beside.items()})
    return condition


def _check_unseen(data: SubtomogramSet, manifest: Manifest) -> None:
    """Raises InputError where the student, or its teacher, learned from this very set."""
    if any(data.digest in digests for digests in manifest.digests.values()):
        raise InputError(
            expected="items that the student has never seen",
            found=f"{data.path}, from which it learned",
            todo="Give another seed.",
        )


def _logits(classifier: Classifier, data: SubtomogramSet) -> NDArray[np.float32]:
    """(n, classes) of all items; memory is bounded by one block."""
    step = rows_per_block(4 * data.header.box**3)
    blocks = np.split(np.arange(len(data.ids)), range(step, len(data.ids), step))
    return np.concatenate([classifier.logits(data.volumes(block)) for block in blocks])


def _interval(of: Evaluation) -> Interval:
    return Interval(of.accuracy, of.accuracy_low, of.accuracy_high)


def _part(config: SimulationConfig) -> str:
    """In the names of metrics, what "test" is elsewhere: "snr_0.1_tilts_-60_60"."""
    low, high = config.tilt_range
    return f"snr_{config.snr}_tilts_{low:g}_{high:g}"


def _record(conditions: list[Condition], pair: Pair) -> None:
    table = robustness_table(conditions)
    log_text("tables/robustness.md", table.markdown())
    log_text("tables/robustness.csv", table.csv())
    log_description(f"**{_title(pair)}**\n\n{table.markdown()}")
    log_figure("robustness", robustness_figure(conditions, title=_title(pair)))
    log_tags({"student": pair.manifest.network, "version": pair.version.version})


def _title(pair: Pair) -> str:
    manifest = pair.manifest
    snr = Range(*(float(f"{end:.3g}") for end in manifest.snr_range))
    low, high = manifest.tilt_range
    name = f"{manifest.network}, version {pair.version.version}"
    return f"{name}: trained on SNR {snr}, tilts {low:g}° to {high:g}°"
