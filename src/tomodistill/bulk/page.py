"""The page of a job, from what stands in its folder."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import tomodistill
from tomodistill.bulk.complete import Completed
from tomodistill.bulk.examples import averages, examples
from tomodistill.bulk.job import MODEL, PAGE, Job
from tomodistill.bulk.outputs import Gathered
from tomodistill.bulk.results import Reason
from tomodistill.bulk.spent import time_spent
from tomodistill.errors import InputError
from tomodistill.evaluation.classification_page import Average, ClassificationPage, Example, render
from tomodistill.inference.version import file_digest
from tomodistill.subtomograms.files import whole_file

_LIBRARIES = ("numpy", "keras", "openvino", "mrcfile", "gemmi", "distributed")
_WORDS = {
    Reason.DROPPED: "reach out of their tomogram (border=drop)",
    Reason.NOT_FINITE: "NaN or infinity in the box",
    Reason.CONSTANT: "nothing in the box: every voxel is the same",
    Reason.SET_ASIDE: "in a shard that was set aside",
}


def write_page(job: Job, gathered: Gathered, completed: Completed) -> Path:
    """Write the page; returns where it is."""
    spent, found = time_spent(job), warnings(job, gathered, completed)
    shown, means = _to_look_at(job, gathered, found)
    page = ClassificationPage(
        title=f"{job.particles:,} particles classified",
        manifest=job.manifest,
        names=gathered.names,
        confidences=gathered.confidences,
        reasons={_WORDS[r]: n for r, n in gathered.reasons.items() if r in _WORDS},
        sources=gathered.tally.counts,
        examples=shown,
        averages=means,
        warnings=found,
        timed=min(spent.particles, job.particles),  # tasks of one part both count its own
        wall=spent.wall,
        seconds=spent.by_step,
        model={"version": job.model, "engine": "; ".join(completed.merged.made_by)},
        settings=_settings(job),
        software=_software(),
        digests=_digests(job),
    )
    path = job.folder / PAGE
    with whole_file(path) as partial:
        partial.write_text(render(page))
    return path


def _to_look_at(
    job: Job, gathered: Gathered, found: list[str]
) -> tuple[dict[int, list[Example]], dict[int, Average]]:
    """Examples and averages; none, and a warning, if the volumes cannot be read any more."""
    try:
        return examples(job, gathered), averages(job, gathered)
    except (InputError, OSError) as error:
        found.append(f"no examples are shown: {error}")
        return {}, {}


def warnings(job: Job, gathered: Gathered, completed: Completed) -> list[str]:
    """What was assumed, filled in, left out: a sentence each."""
    found = list(job.facts.warnings)
    if padded := gathered.reasons[Reason.PADDED]:
        found.append(f"border: {padded:,} boxes reach out of their tomogram and were padded")
    left_out = sum(n for reason, n in gathered.reasons.items() if reason in _WORDS)
    if left_out:
        found.append(f"{left_out:,} particles were not classified")
    if len(completed.merged.made_by) > 1:
        found.append("several kinds of machines: " + "; ".join(completed.merged.made_by))
    found += [f"shard {shard} was set aside: {why}" for shard, why in completed.aside.items()]
    return found


def _settings(job: Job) -> dict[str, str]:
    return {
        "read": "; ".join(job.sources()),
        **{name: f"{value}" for name, value in asdict(job.config).items()},
        "voxel spacing of the volumes": f"{job.facts.voxel_spacing:g} Å",
        "contrast": f"{job.facts.contrast} ({job.facts.contrast_from})",
    }


def _software() -> dict[str, str]:
    """Name -> version; this program and its libraries need not be installed as packages."""
    found = {"tomodistill": tomodistill.__version__}
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _digests(job: Job) -> Mapping[str, str]:
    return {"job": job.digest, "model": file_digest(job.folder / MODEL / "manifest.json")}
