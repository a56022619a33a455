"""What a student's version knows of its own limits: calibration, and what is like no class."""

import sys
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from entrypoints.simulate import ensure_recorded, structures_of
from entrypoints.training import Trained
from tomodistill.errors import InputError
from tomodistill.evaluation.calibration import Answers, calibrate, reliability
from tomodistill.evaluation.confidence_figures import reliability_figure, unknown_figure
from tomodistill.evaluation.config import Confidence
from tomodistill.evaluation.unknown import HeldOut, learn_unknown
from tomodistill.inference.confidence import Calibration, Unknown
from tomodistill.scales import Scale
from tomodistill.simulation.config import SimulationConfig
from tomodistill.simulation.structures import Structure
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tracking.records import log_figure, log_set

# With another source of these modules a student is made again.
SOURCES = tuple(f"evaluation/{module}" for module in ("calibration", "unknown"))
_OTHER_SEED = 1_000_003  # added to the set's, for poses and noise of its own
_HOW = "-P held_out_a=x,y -P held_out_b=z, and in classes those to train on"


def check_held_out(scale: Scale) -> None:
    """Raises InputError where held-out structures do not exist or do not fit into the box."""
    if config := held_out_config(scale):
        _structures(config)


def ensure_held_out(scale: Scale) -> SubtomogramSet | None:
    """The set of the held-out classes, A and B, made like the training data; None of none."""
    config = held_out_config(scale)
    if config is None:
        print(f"nothing will be called unknown: no class is held out ({_HOW})", file=sys.stderr)
        return None
    return ensure_recorded(config, _structures(config)).data


def held_out_config(scale: Scale) -> SimulationConfig | None:
    """As the training data are simulated, with other classes and another seed."""
    simulation, confidence = scale.simulation, scale.confidence
    names = confidence.held_out
    if not names:
        return None
    return replace(
        simulation,
        classes=",".join(names),
        items=confidence.held_out_items * len(names),
        none=0.0,
        seed=simulation.seed + _OTHER_SEED,
    )


def _structures(config: SimulationConfig) -> tuple[Structure, ...]:
    try:
        return structures_of(config)
    except InputError as error:
        raise InputError(
            expected=f"held_out_a and held_out_b: {error.expected}",
            found=error.found,
            todo="Give others, or held_out_a=none and held_out_b=none.",
        ) from error


def with_confidence(
    trained: Trained, scale: Scale, data: SubtomogramSet, held_out: SubtomogramSet | None
) -> tuple[Trained, dict[str, float]]:
    """The same network with calibration and rejection in its manifest, and both measured.

    The validation part fits the temperature and the threshold, the held-out classes A choose the
    score; the test part and the classes B choose nothing. Figures go into the active run.
    """
    val, test = (_answers(trained, data, part) for part in ("val", "test"))
    calibration = calibrate(val, test=test, priors=_priors(data))
    log_figure("reliability", _reliability(val, test, calibration))
    unknown = None
    if held_out:
        config, at = scale.confidence, calibration.temperature
        unknown = _unknown(trained, config, held_out, val=val, test=test, temperature=at)
    manifest = replace(trained.classifier.manifest, calibration=calibration, unknown=unknown)
    classifier = replace(trained.classifier, manifest=manifest)
    return replace(trained, classifier=classifier), _metrics(calibration, unknown)


def _answers(trained: Trained, data: SubtomogramSet, part: str) -> Answers:
    rows = data.rows(part)
    return Answers(trained.classifier.logits(data.volumes(rows)), data.labels[rows])


def _unknown(
    trained: Trained,
    config: Confidence,
    held_out: SubtomogramSet,
    *,
    val: Answers,
    test: Answers,
    temperature: float,
) -> Unknown:
    log_set(held_out, "held out")
    a, b = (_held_out(trained, held_out, names) for names in (config.classes_a, config.classes_b))
    unknown = learn_unknown(
        val=val.logits,
        test=test.logits,
        a=a,
        b=b,
        temperature=temperature,
        false_rejection=config.false_rejection,
    )
    parts = {"val": val.logits, "test": test.logits, "A": a.logits, "B": b.logits}
    scores = {name: unknown.scores(of, temperature=temperature) for name, of in parts.items()}
    log_figure("unknown", unknown_figure(scores, unknown))
    return unknown


def _held_out(trained: Trained, held_out: SubtomogramSet, names: tuple[str, ...]) -> HeldOut:
    """Every item of these classes, whatever its part."""
    labels = [held_out.header.class_names.index(name) for name in names]
    rows = np.flatnonzero(np.isin(held_out.labels, labels))
    volumes = held_out.volumes(rows, contrast=trained.classifier.manifest.contrast)
    return HeldOut(names, trained.classifier.logits(volumes))


def _priors(data: SubtomogramSet) -> dict[str, float]:
    """Share of each class in the training part."""
    names, labels = data.header.class_names, data.labels[data.labelled_rows("train")]
    shares = np.bincount(labels, minlength=len(names)) / len(labels)
    return dict(zip(names, shares.tolist(), strict=True))


def _reliability(val: Answers, test: Answers, calibration: Calibration) -> Figure:
    temperatures = {"as trained": 1.0, "calibrated": calibration.temperature}
    parts = {"validation part, which it is fitted to": val, "test part": test}
    return reliability_figure(
        {
            part: {name: reliability(of, temperature=t) for name, t in temperatures.items()}
            for part, of in parts.items()
        }
    )


def _metrics(calibration: Calibration, unknown: Unknown | None) -> dict[str, float]:
    """By their names in MLflow."""
    metrics = {"calibration/temperature": calibration.temperature}
    metrics |= {f"test/{name}": value for name, value in calibration.measured.items()}
    if unknown:
        metrics |= {f"unknown/{name}": value for name, value in unknown.measured.items()}
    return metrics
