"""What a student must show before it goes into production. Measured on the validation part."""

from collections.abc import Mapping
from dataclasses import dataclass

from tomodistill.errors import InputError


@dataclass(frozen=True)
class Gates:
    """Lowest values that are let through. The test part is reported, never gated on."""

    min_accuracy_rate: float = 0.9  # student over teacher, validation part (the paper's s3: 0.937)
    min_speedup: float = 1.5  # teacher time over student time (the paper's slowest student: 1.69)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0:
                raise InputError(
                    expected=f"{name} of 0 or more", found=f"{value}", todo="Change it."
                )


_METRICS = {"min_accuracy_rate": "val/accuracy_rate", "min_speedup": "speedup"}


def failures(metrics: Mapping[str, float], gates: Gates) -> list[str]:
    """Why these metrics of a version do not pass; empty if they do."""
    reasons = []
    for gate, metric in _METRICS.items():
        lowest, value = getattr(gates, gate), metrics.get(metric)
        if value is None:
            reasons.append(f"{metric} was never measured")
        elif not value >= lowest:
            reasons.append(f"{metric} is {value:.3f}, below {gate}={lowest:g}")
    return reasons
