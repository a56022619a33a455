"""Which engine runs a version on this machine, and in which precision."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tomodistill.errors import InputError
from tomodistill.inference import openvino_engine
from tomodistill.inference.engines import PRECISIONS, REFERENCE, Engine
from tomodistill.inference.version import Manifest, load_model

AUTO = "auto"


def open_engine(
    folder: Path, manifest: Manifest, *, engine: str = AUTO, precision: str = AUTO
) -> tuple[Engine, str]:
    """The engine of that name, or the best there is here; and why, in a line for people.

    On a GPU that is Keras, elsewhere OpenVINO; each in a reduced precision where the hardware has
    it and the version passed its gate so. Raises InputError for what is unknown, not installed, not
    measured, or did not pass.
    """
    check_choice(engine=engine, precision=precision)
    name, reason = _best(manifest) if engine == AUTO else (engine, "asked for")
    kind = _KINDS[name]
    if lacks := kind.lacks(manifest):
        raise InputError(
            expected=f"a version for engine={name}", found=lacks, todo="Give engine=auto."
        )
    if precision == AUTO:
        precision = _fastest(kind, manifest)
    _check_precision(kind, manifest, precision)
    return kind.open(folder, precision), f"{reason}; {_measured(manifest, name, precision)}"


def check_choice(*, engine: str, precision: str) -> None:
    """Raises InputError for names that are unknown."""
    choices = (
        ("engine", engine, (AUTO, *_KINDS)),
        ("precision", precision, (AUTO, *PRECISIONS)),
    )
    for flag, given, known in choices:
        if given not in known:
            raise InputError(
                expected=f"{flag}: {', '.join(known)}",
                found=repr(given),
                todo="Choose one of them.",
            )


@dataclass(frozen=True)
class _Kind:
    """Of engines; nothing heavy is imported before it is asked for."""

    name: str
    lacks: Callable[[Manifest], str]  # why it cannot run the version here; "" if it can
    precisions: Callable[[], tuple[str, ...]]  # which this machine has
    open: Callable[[Path, str], Engine]


def _best(manifest: Manifest) -> tuple[str, str]:
    """Name of an engine, and why it."""
    if _may_have_gpu() and not (device := _keras_device()).startswith("cpu"):
        return "keras", f"the device is {device}"
    lacks = _openvino_lacks(manifest) or _not_passed(manifest, "openvino", REFERENCE)
    return ("keras", lacks) if lacks else ("openvino", "no GPU is here")


def _may_have_gpu() -> bool:
    """Whether NVIDIA's driver shows one; only Keras, which starts in seconds, knows if it works."""
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if find_spec("pynvml") is None:
        return True
    import pynvml

    try:
        pynvml.nvmlInit()
        return bool(pynvml.nvmlDeviceGetCount())
    except pynvml.NVMLError:
        return False


def _fastest(kind: _Kind, manifest: Manifest) -> str:
    """The first reduced precision that passed and is native here, else float32."""
    passed = [p for p in PRECISIONS[1:] if not _not_passed(manifest, kind.name, p)]
    return next((p for p in passed if p in kind.precisions()), REFERENCE)


def _check_precision(kind: _Kind, manifest: Manifest, precision: str) -> None:
    against = _not_passed(manifest, kind.name, precision)
    if precision not in kind.precisions():
        against = f"a device that has {', '.join(kind.precisions())}"
    if against:
        raise InputError(
            expected=f"a version and a device for precision={precision} with {kind.name}",
            found=against,
            todo="Give precision=auto, or another engine.",
        )


def _not_passed(manifest: Manifest, engine: str, precision: str) -> str:
    """Why the version may not be run so; "" if it may."""
    if (engine, precision) == ("keras", REFERENCE):
        return ""  # to which all others are compared
    figures = manifest.engines.get(engine, {}).get(precision)
    if figures is None:
        return f"a version never measured with {engine} in {precision}"
    words = ", ".join(f"{name} {value:.4g}" for name, value in figures.items() if name != "passed")
    return "" if figures["passed"] else f"figures that did not pass: {words}"


def _measured(manifest: Manifest, engine: str, precision: str) -> str:
    figures = manifest.engines.get(engine, {}).get(precision)
    if not figures:
        return f"{precision} is the reference"
    share = f"{figures['agreement']:.4g} of {figures['items']} items"
    return f"{precision} decides {share} as the reference does"


def _openvino_lacks(manifest: Manifest) -> str:
    files = {openvino_engine.GRAPH, openvino_engine.WEIGHTS}
    if not files <= manifest.files.keys():  # whose sha256 is known
        return "a version without OpenVINO's files"
    return "" if openvino_engine.installed() else "no OpenVINO on this machine"


def _open_openvino(folder: Path, precision: str) -> Engine:
    return openvino_engine.OpenVINOEngine(folder / openvino_engine.GRAPH, precision)


def _keras_lacks(manifest: Manifest) -> str:
    return "" if find_spec("keras") else "no Keras on this machine"


def _keras_device() -> str:
    from tomodistill.inference.keras_engine import device

    return device()


def _keras_precisions() -> tuple[str, ...]:
    """Reduced ones on an accelerator: on a CPU OpenVINO is faster."""
    return (REFERENCE,) if _keras_device().startswith("cpu") else PRECISIONS


def _open_keras(folder: Path, precision: str) -> Engine:
    from tomodistill.inference.keras_engine import KerasEngine

    return KerasEngine(load_model(folder), precision)


_KINDS = {
    kind.name: kind
    for kind in (
        _Kind("keras", _keras_lacks, _keras_precisions, _open_keras),
        _Kind("openvino", _openvino_lacks, openvino_engine.precisions, _open_openvino),
    )
}
