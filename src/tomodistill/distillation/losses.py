"""Losses as pure functions of two logit tensors, and what Keras minimises.

Targets are (n, 2, classes): row 0 the teacher's logits, row 1 the one-hot hard label. Both travel
with every batch, so that every training reports the same metrics whatever it learns from.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

Loss = Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]
TEACHER, HARD = 0, 1  # rows of the targets


def hinton_loss(
    *, teacher_logits: keras.KerasTensor, student_logits: keras.KerasTensor, temperature: float
) -> keras.KerasTensor:
    """(n,) T^2 x KL(teacher at T || student at T), from (n, classes) logits; 0 where they agree.

    Its gradient is that of T^2 x cross-entropy; T^2 keeps it independent of T (Hinton et al. 2015,
    sect. 2).
    """
    wanted = ops.log_softmax(teacher_logits / temperature)
    given = ops.log_softmax(student_logits / temperature)
    return temperature**2 * ops.sum(ops.exp(wanted) * (wanted - given), -1)


def soft_ce_loss(
    *, teacher_logits: keras.KerasTensor, student_logits: keras.KerasTensor, temperature: float
) -> keras.KerasTensor:
    """(n,) KL(teacher at T || student at 1), from (n, classes) logits; 0 where they agree.

    The other reading of arXiv 1801.10597, which softens the labels and says nothing of the student.
    Its gradient is that of the cross-entropy.
    """
    wanted = ops.log_softmax(teacher_logits / temperature)
    return ops.sum(ops.exp(wanted) * (wanted - ops.log_softmax(student_logits)), -1)


def logits_loss(
    *, teacher_logits: keras.KerasTensor, student_logits: keras.KerasTensor, temperature: float
) -> keras.KerasTensor:
    """(n,) half the mean squared difference of (n, classes) logits (Ba and Caruana 2014, eq. 1).

    Of each row's logits less their mean, as in the limit of Hinton's loss at high temperature: a
    constant in all of them changes no probability. `temperature` has no part in it.
    """
    difference = teacher_logits - student_logits
    return ops.var(difference, -1) / 2


SOFT_LOSSES = {"hinton": hinton_loss, "soft_ce": soft_ce_loss, "logits": logits_loss}


def soft_label_loss(temperature: float, *, loss: str = "hinton", hard_weight: float = 0.0) -> Loss:
    """Keras loss (targets, logits) -> (n,) that learns from row 0, the teacher's logits.

    `hard_weight` is the share of the hard labels' cross-entropy; an unlabelled item has none.
    """
    soft_loss = SOFT_LOSSES[loss]

    def mixed(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        soft = soft_loss(
            teacher_logits=targets[:, TEACHER], student_logits=logits, temperature=temperature
        )
        return (1 - hard_weight) * soft + hard_weight * hard_label_loss(targets, logits)

    return mixed


def hard_label_loss(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """(n,) cross-entropy that learns from row 1, the hard labels."""
    return -ops.sum(targets[:, HARD] * ops.log_softmax(logits), -1)


def accuracy(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """(n,) 1 where the decision is the hard label, 0 where it is not, NaN where none is known."""
    decisions = ops.one_hot(ops.argmax(logits, -1), logits.shape[-1])
    return ops.sum(targets[:, HARD] * decisions, -1) / ops.sum(targets[:, HARD], -1)


def agreement(targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """(n,) 1 where the decision is the teacher's."""
    same = ops.equal(ops.argmax(targets[:, TEACHER], -1), ops.argmax(logits, -1))
    return ops.cast(same, "float32")


def pack_targets(
    *, teacher_logits: NDArray[np.float32], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(n, views, 2, classes) targets from (n, views, classes) logits and (n,) labels.

    An unknown label (-1) becomes a row of zeros, which no hard-label loss learns from.
    """
    known = np.eye(teacher_logits.shape[-1], dtype=np.float32)[labels]
    known[labels < 0] = 0
    hard = np.broadcast_to(known[:, None], teacher_logits.shape)
    return np.stack([teacher_logits, hard], axis=2)
