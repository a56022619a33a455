"""What a model's manifest says of it, in words for people."""

from math import isnan

from tomodistill.inference.version import Manifest

_DIGITS = 16  # of a digest


def model_facts(manifest: Manifest) -> dict[str, str]:
    """What it is, on what it learned, how right it was: fact -> value, in the order to show."""
    filtered = manifest.preprocessing.lowpass
    return {
        "network": f"{manifest.network} ({manifest.role})",
        "box": f"{manifest.box}³ voxels of {manifest.voxel_spacing:g} Å",
        "contrast it expects": f"{manifest.contrast} particles",
        "low-pass": f"{filtered:g} Å" if filtered else "none",
        "tilt range in training": _range(manifest.tilt_range, "°"),
        "SNR in training": _range(manifest.snr_range),
        **_accuracies(manifest),
        **_calibration(manifest),
        **_unknown(manifest),
        **{f"{of} digest": digest[:_DIGITS] for of, digest in manifest.digests.items()},
    }


def _range(ends: tuple[float, float], unit: str = "") -> str:
    low, high = ends
    if isnan(low) or isnan(high):
        return "not known"
    text = f"{low:g}{unit}" if low == high else f"{low:g}{unit} to {high:g}{unit}"
    return text.replace("-", "−")


def _accuracies(manifest: Manifest) -> dict[str, str]:
    parts = {"val": "validation", "test": "test"}
    return {
        f"{name} accuracy": _interval(manifest.metrics, f"{part}/accuracy")
        for part, name in parts.items()
        if f"{part}/accuracy" in manifest.metrics
    }


def _calibration(manifest: Manifest) -> dict[str, str]:
    if not (known := manifest.calibration):
        return {"calibration": "none"}
    error = f", error (ECE) {known.measured['ece']:.3f}" if "ece" in known.measured else ""
    return {"calibration": f"temperature {known.temperature:.2f} from {known.items} items{error}"}


def _unknown(manifest: Manifest) -> dict[str, str]:
    if not (known := manifest.unknown):
        return {"unknown": "never: this model rejects nothing"}
    facts = {"unknown": f"score {known.score} below {known.threshold:.4g}"}
    shares = {
        "false_rejection": ("known called unknown", "the test part"),
        "rejected": ("unknown called unknown", f"held-out {', '.join(known.held_out_b)}"),
    }
    for measured, (name, of) in shares.items():
        if measured in known.measured:
            facts[name] = f"{_interval(known.measured, measured)} of {of}"
    return facts


def _interval(metrics: dict[str, float], name: str) -> str:
    ends = [f"{name}_low", f"{name}_high"]
    value = f"{metrics[name]:.1%}"
    if not all(end in metrics for end in ends):
        return value
    low, high = (metrics[end] for end in ends)
    return f"{value} (95 %: {low:.1%} to {high:.1%})"
