"""Put a student into production, through the gates."""

import sys
from dataclasses import fields

from entrypoints.flags import config_flags, config_from, parse_flags
from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.scales import AUTO, parse
from tomodistill.tracking.audit import who_and_when
from tomodistill.tracking.gates import Gates, failures
from tomodistill.tracking.records import log_metrics, log_tags
from tomodistill.tracking.registry import (
    CLASS_NAMES,
    STUDENTS,
    download,
    in_production,
    newest,
    resolve,
    set_production,
)
from tomodistill.tracking.runs import phase_run, take_over_run
from tomodistill.tracking.versions import ResolvedVersion

FLAGS = {"student": AUTO, "version": AUTO, "force": "false", **config_flags(Gates)}

# the first two are gated on; the test part is only reported
REPORTED = ("val/accuracy_rate", "speedup", "test/accuracy", "test/accuracy_rate", "test/items")


def main(arguments: list[str]) -> None:
    """The entry point."""
    given, run_id = parse_flags(__doc__, FLAGS, arguments), take_over_run()
    gates: Gates = config_from(Gates, given)
    force = parse("force", given["force"], bool)
    chosen = choose(given["student"], given["version"])
    _warn_of_other_classes(chosen, in_production())
    with phase_run("promote", name=f"promote {chosen.version}", run_id=run_id):
        measured = promote(chosen, gates, force=force)
    print(f"in production: version {chosen.version} of {STUDENTS}: {measured}")


def promote(chosen: ResolvedVersion, gates: Gates, *, force: bool) -> str:
    """Self-test and gates, then the alias; returns what was measured.

    Raises InputError with every reason against it.
    """
    folder = download(chosen, places.models())
    metrics = Classifier.load(folder).manifest.metrics  # refuses what fails its self-test
    reasons = failures(metrics, gates)
    if reasons and not force:
        raise InputError(
            expected="a version that passes its gates",
            found=f"version {chosen.version}: {'; '.join(reasons)}",
            todo="Train a better one, or promote it all the same with force=true.",
        )
    shown = {name: metrics[name] for name in REPORTED if name in metrics}
    measured = ", ".join(f"{name} {value:.4g}" for name, value in shown.items())
    by, at = who_and_when()
    audit = {
        "promoted.by": by,
        "promoted.at": at,
        "promoted.gates": ", ".join(f"{f.name}={getattr(gates, f.name):g}" for f in fields(gates)),
        "promoted.measured": measured,
        "promoted.forced": "; ".join(reasons) if reasons else "no",
    }
    log_tags({"version": chosen.version, **audit})
    log_metrics(shown)
    set_production(chosen.version, audit)
    return measured


def _warn_of_other_classes(chosen: ResolvedVersion, current: ResolvedVersion | None) -> None:
    """The newest version of a student may have been trained on another set."""
    given = chosen.tags.get(CLASS_NAMES)
    before = current.tags.get(CLASS_NAMES) if current else given
    if given != before:
        print(
            f"warning: version {chosen.version} knows other classes than the one in production: "
            f"{given}; until now {before}",
            file=sys.stderr,
        )


def chosen_or_production(student: str, version: str) -> ResolvedVersion:
    """As `choose`, and what is in production where both are `auto`."""
    if (student, version) != (AUTO, AUTO):
        return choose(student, version)
    found = in_production()
    if found is None:
        raise InputError(
            expected="a version in production, where neither student nor version is given",
            found="none",
            todo="Say student=s3 (its newest version) or version=N, or promote one.",
        )
    return found


def choose(student: str, version: str) -> ResolvedVersion:
    """The newest version of a student, or the one of that number, where the other is `auto`.

    Raises InputError for both, for neither, and where there is none.
    """
    if (student == AUTO) == (version == AUTO):
        raise InputError(
            expected="one of student=NAME (its newest version) and version=N",
            found="both" if student != AUTO else "neither",
            todo="For example: mlflow run . -e promote -P student=s3",
        )
    if version == AUTO:
        return newest(student)
    number = parse("version", version, int)
    if number < 1:
        raise InputError(expected="version: 1 or more", found=version, todo="Change it.")
    return resolve(f"models:/{STUDENTS}/{number}")
