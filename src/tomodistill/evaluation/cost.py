"""The paper's three ratios (arXiv 1801.10597, Table 2), and what a network costs."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Size and work of a network."""

    parameters: int
    bytes: int  # of its weights, float32
    gflop: float  # one forward pass of one volume, 2 x multiply-accumulate

    def metrics(self) -> dict[str, float]:
        """Named as in MLflow."""
        return {f"cost/{name}": float(value) for name, value in vars(self).items()}


def compression_rate(*, teacher_parameters: int, student_parameters: int) -> float:
    """How many times fewer parameters the student has."""
    return teacher_parameters / student_parameters


def accuracy_rate(*, teacher_accuracy: float, student_accuracy: float) -> float:
    """Share of the teacher's accuracy that the student keeps; 0 if the teacher has none."""
    return student_accuracy / teacher_accuracy if teacher_accuracy else 0.0


def speedup(*, teacher_time: float, student_time: float) -> float:
    """How many times sooner the student is done."""
    return teacher_time / student_time
