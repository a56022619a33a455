"""A student in the registry as files for other servers: OpenVINO IR or ONNX.

The student is the newest version of `student`, `version`, or the one in production. Its files come
into the new folder `out` once they have answered the version's probe as the version does, beside
them a README of what to do before and after the network.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from entrypoints.flags import parse_flags
from entrypoints.promote import chosen_or_production
from tomodistill import places
from tomodistill.errors import InputError
from tomodistill.inference.classifier import SELF_TEST_TOLERANCE
from tomodistill.inference.engines import Array
from tomodistill.inference.gate import probability_difference
from tomodistill.inference.openvino_engine import GRAPH, WEIGHTS, OpenVINOEngine, core
from tomodistill.inference.version import (
    PROBE,
    PROBE_LOGITS,
    Manifest,
    load_model,
    read_manifest,
)
from tomodistill.scales import AUTO
from tomodistill.subtomograms.preprocessing import axis_filter, preprocess
from tomodistill.tracking.records import log_file, log_metrics, log_tags
from tomodistill.tracking.registry import download
from tomodistill.tracking.runs import phase_run, take_over_run
from tomodistill.tracking.versions import ResolvedVersion

FORMAT, OUT = "format", "out"  # flags
FLAGS = {"student": AUTO, "version": AUTO, FORMAT: "openvino", OUT: AUTO}
ONNX, FILTER, README = "model.onnx", "filter.npy", "README.txt"


def main(arguments: list[str]) -> None:
    """The entry point."""
    given, run_id = parse_flags(__doc__, FLAGS, arguments), take_over_run()
    format = given[FORMAT]
    if format not in FORMATS:
        raise InputError(
            expected=f"{FORMAT}: {' or '.join(FORMATS)}", found=repr(format), todo="Choose one."
        )
    chosen = chosen_or_production(given["student"], given["version"])
    out = _empty_folder(given[OUT], f"{chosen.name}-{chosen.version}-{format}")
    name = f"export version {chosen.version} as {format}"
    with phase_run("export", name=name, run_id=run_id):
        difference = export(chosen, format, out)
    print(f"version {chosen.version} of {chosen.name} as {format}: {out.absolute()}")
    print(f"{README} says how to use it; its probe's probabilities differ by {difference:.1g}")


def export(chosen: ResolvedVersion, format: str, out: Path) -> float:
    """Write a version into the empty folder `out`; returns its error, of a probability.

    Raises InputError if what was written does not answer as the version does; `out` stays empty.
    """
    folder = download(chosen, places.models())
    manifest = read_manifest(folder)
    with TemporaryDirectory() as made:
        written = FORMATS[format].write(Path(made), folder, manifest)
        difference = _verify(written, folder, manifest, format)
        _add_what_goes_with_it(Path(made), folder, manifest)
        about = _about(chosen, manifest, shape=_input_shape(written), difference=difference)
        (Path(made) / README).write_text(about)
        shutil.copytree(made, out, dirs_exist_ok=True)
    log_tags({"version": chosen.version, "format": format, "out": str(out.absolute())})
    log_metrics({"export/largest_difference": difference})
    for path in sorted(out.iterdir()):
        log_file(path)
    return difference


def _empty_folder(out: str, default: str) -> Path:
    """The folder that the flag names. Raises InputError if there is something in it."""
    folder = places.data_folder() / "exports" / default if out == AUTO else Path(out)
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(
            expected=f"{OUT}: a folder that is new or empty",
            found=f"{folder.absolute()}",
            todo=f"Give another with {OUT}=FOLDER, or remove this one.",
        )
    return places.writable(folder, flag=OUT)


def _verify(written: Path, folder: Path, manifest: Manifest, format: str) -> float:
    """Largest difference of a probability of the probe. Raises InputError if it is too large."""
    prepared = preprocess(
        np.load(folder / PROBE),
        voxel_spacing=manifest.voxel_spacing,
        contrast=manifest.contrast,
        parameters=manifest.preprocessing,
    )
    stored, found = np.load(folder / PROBE_LOGITS), FORMATS[format].answer(written, prepared)
    difference = probability_difference(stored, found)
    if not difference <= SELF_TEST_TOLERANCE:
        raise InputError(
            expected=f"the probe's probabilities within {SELF_TEST_TOLERANCE} from {written.name}",
            found=f"a difference of {difference:.2g}",
            todo="Take another format.",
        )
    return difference


def _add_what_goes_with_it(out: Path, folder: Path, manifest: Manifest) -> None:
    """The filter that preprocessing needs, and the probe."""
    box, preprocessing = manifest.box, manifest.preprocessing
    edge, lowpass = preprocessing.edge(box), preprocessing.lowpass
    np.save(out / FILTER, axis_filter(box, edge, manifest.voxel_spacing, lowpass))
    for name in (PROBE, PROBE_LOGITS):
        shutil.copy(folder / name, out)


def _input_shape(written: Path) -> str:
    """As the file has it, with a channel axis or without; OpenVINO reads ONNX too."""
    _, *axes = core().read_model(written).input(0).partial_shape
    return ", ".join(["n", *map(str, axes)])


def _about(chosen: ResolvedVersion, manifest: Manifest, *, shape: str, difference: float) -> str:
    """What another server must know; plain text."""
    box, edge = manifest.box, manifest.preprocessing.edge(manifest.box)
    temperature = manifest.calibration.temperature if manifest.calibration else 1.0
    sign = {"dark": "3. change the sign: particles are dark here\n  ", "bright": ""}
    unknown = manifest.unknown
    rejected = f"{unknown.score} below {unknown.threshold:.6g}" if unknown else "not known"
    return f"""\
Version {chosen.version} of {chosen.name}: {manifest.network}, a classifier of subtomograms.

Input: float32 ({shape}), preprocessed subtomograms in z, y, x order.
Output: float32 (n, {len(manifest.class_names)}), logits of {", ".join(manifest.class_names)}.

Preprocess each cube of {box} voxels of {manifest.voxel_spacing:g} A, {manifest.contrast} particles:
  1. multiply by {FILTER}, float32 ({edge}, {box}), along z, along y and along x
     (low-pass at {manifest.preprocessing.lowpass:g} A, Fourier crop to {edge} voxels)
  2. subtract the mean, divide by the standard deviation (of zero: by 1)
  {sign[manifest.contrast]}In Python: tomodistill.subtomograms.preprocessing.preprocess

Probabilities: softmax(logits / {temperature:.6g}).
Like none of the classes: {rejected} (tomodistill.inference.confidence).

Check: {PROBE} are stored volumes, {PROBE_LOGITS} their logits; the probabilities of these files
differ by {difference:.1g} from them.
"""


def _write_openvino(out: Path, folder: Path, manifest: Manifest) -> Path:
    if GRAPH in manifest.files:  # as it was gated; and no Keras is needed
        for name in (GRAPH, WEIGHTS):
            shutil.copy(folder / name, out)
    else:
        from tomodistill.inference.export import write_openvino

        write_openvino(load_model(folder), out)
    return out / GRAPH


def _write_onnx(out: Path, folder: Path, _: Manifest) -> Path:
    from tomodistill.inference.export import write_onnx

    write_onnx(load_model(folder), out / ONNX)
    return out / ONNX


def _answer_openvino(path: Path, volumes: Array) -> Array:
    return OpenVINOEngine(path).logits(volumes)


def _answer_onnx(path: Path, volumes: Array) -> Array:
    from tomodistill.inference.export import onnx_logits

    return onnx_logits(path, volumes)


@dataclass(frozen=True)
class _Format:
    write: Callable[[Path, Path, Manifest], Path]  # where to, version; gives the file to open
    answer: Callable[[Path, Array], Array]  # that file, (n, e, e, e) preprocessed -> logits


FORMATS = {
    "openvino": _Format(_write_openvino, _answer_openvino),
    "onnx": _Format(_write_onnx, _answer_onnx),
}
