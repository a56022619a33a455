from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import log_softmax, softmax

from tomodistill.distillation.losses import (
    accuracy,
    agreement,
    hard_label_loss,
    hinton_loss,
    logits_loss,
    pack_targets,
    soft_ce_loss,
    soft_label_loss,
)


def random_logits(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(0, 3, shape).astype(np.float32)


def gradient(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """Of the sum of `function` at `x`, by whatever backend runs the tests."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda x: ops.sum(function(x)))(x))
    import tensorflow as tf

    with tf.GradientTape() as tape:
        at = tf.convert_to_tensor(x)
        tape.watch(at)
        total = ops.sum(function(at))
    return tape.gradient(total, at).numpy()


def reference(teacher: np.ndarray, student: np.ndarray, temperature: float) -> np.ndarray:
    teacher, student = teacher.astype(np.float64), student.astype(np.float64)
    wanted, given = (log_softmax(logits / temperature, -1) for logits in (teacher, student))
    return temperature**2 * (np.exp(wanted) * (wanted - given)).sum(-1)


@pytest.mark.parametrize("temperature", [1.0, 5.0, 20.0])
def test_hinton_loss_against_numpy(rng: np.random.Generator, temperature: float) -> None:
    teacher, student = random_logits(rng, 6, 4), random_logits(rng, 6, 4)
    loss = hinton_loss(teacher_logits=teacher, student_logits=student, temperature=temperature)
    expected = reference(teacher, student, temperature)
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6 * temperature**2)


def test_hinton_loss_is_finite_where_logits_saturate() -> None:
    teacher = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], np.float32)
    student = np.array([[-1e4, 1e4, 0.0], [-1e4, 1e4, 0.0]], np.float32)
    loss = hinton_loss(teacher_logits=teacher, student_logits=student, temperature=5.0)
    np.testing.assert_allclose(loss, [25 * 2e4 / 5, 0.0], rtol=1e-6)
    slope = gradient(
        lambda s: hinton_loss(teacher_logits=teacher, student_logits=s, temperature=5.0), student
    )
    np.testing.assert_allclose(slope, [[-5, 5, 0], [0, 0, 0]], atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_gradient_is_that_of_t2_kl(rng: np.random.Generator, temperature: float) -> None:
    teacher, student = random_logits(rng, 6, 4), random_logits(rng, 6, 4)

    def hinton(logits: Any) -> Any:
        return hinton_loss(teacher_logits=teacher, student_logits=logits, temperature=temperature)

    def t2_kl(logits: Any) -> Any:
        p, q = ops.softmax(teacher / temperature), ops.softmax(logits / temperature)
        return temperature**2 * ops.sum(p * (ops.log(p) - ops.log(q)), -1)

    np.testing.assert_allclose(gradient(hinton, student), gradient(t2_kl, student), atol=1e-5)
    by_hand = softmax(student / temperature, -1) - softmax(teacher / temperature, -1)
    np.testing.assert_allclose(gradient(hinton, student), temperature * by_hand, atol=1e-5)


def test_the_teachers_own_logits_are_the_minimum(rng: np.random.Generator) -> None:
    teacher = random_logits(rng, 6, 4)
    slope = gradient(
        lambda s: hinton_loss(teacher_logits=teacher, student_logits=s, temperature=5.0), teacher
    )
    np.testing.assert_allclose(slope, 0, atol=1e-6)
    loss = hinton_loss(teacher_logits=teacher, student_logits=teacher, temperature=5.0)
    np.testing.assert_array_equal(loss, 0)


@pytest.mark.parametrize("temperature", [1.0, 5.0, 20.0])
def test_soft_ce_loss_against_numpy(rng: np.random.Generator, temperature: float) -> None:
    teacher, student = random_logits(rng, 6, 4), random_logits(rng, 6, 4)
    loss = soft_ce_loss(teacher_logits=teacher, student_logits=student, temperature=temperature)
    wanted = softmax(teacher.astype(np.float64) / temperature, -1)
    given = log_softmax(student.astype(np.float64), -1)
    expected = (wanted * (np.log(wanted) - given)).sum(-1)
    np.testing.assert_allclose(loss, expected, rtol=1e-5, atol=1e-6)
    slope = gradient(
        lambda s: soft_ce_loss(teacher_logits=teacher, student_logits=s, temperature=temperature),
        student,
    )
    np.testing.assert_allclose(slope, np.exp(given) - wanted, atol=1e-6)  # that of cross-entropy


def test_soft_ce_loss_is_hintons_at_temperature_1(rng: np.random.Generator) -> None:
    both = {"teacher_logits": random_logits(rng, 6, 4), "student_logits": random_logits(rng, 6, 4)}
    np.testing.assert_allclose(
        soft_ce_loss(**both, temperature=1.0), hinton_loss(**both, temperature=1.0), rtol=1e-6
    )


def test_soft_ce_loss_is_finite_where_logits_saturate() -> None:
    teacher = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]], np.float32)
    student = np.array([[-1e4, 1e4, 0.0], [-1e4, 1e4, 0.0]], np.float32)
    loss = soft_ce_loss(teacher_logits=teacher, student_logits=student, temperature=5.0)
    np.testing.assert_allclose(loss, [2e4, 0.0], rtol=1e-6)
    slope = gradient(
        lambda s: soft_ce_loss(teacher_logits=teacher, student_logits=s, temperature=5.0), student
    )
    np.testing.assert_allclose(slope, [[-1, 1, 0], [0, 0, 0]], atol=1e-6)


def test_logits_loss_against_numpy_at_any_size(rng: np.random.Generator) -> None:
    teacher, student = random_logits(rng, 6, 4), random_logits(rng, 6, 4)
    teacher[0] *= 1e4
    loss = logits_loss(teacher_logits=teacher, student_logits=student, temperature=5.0)
    difference = teacher.astype(np.float64) - student
    difference -= difference.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(loss, np.square(difference).mean(axis=1) / 2, rtol=1e-5)
    slope = gradient(
        lambda s: logits_loss(teacher_logits=teacher, student_logits=s, temperature=5.0), student
    )
    np.testing.assert_allclose(slope, -difference / 4, rtol=1e-4, atol=1e-5)


def test_logits_loss_is_the_limit_of_hintons(rng: np.random.Generator) -> None:
    """T^2 KL of N classes tends to the mean square over 2 (Hinton et al. 2015, sect. 2.1)."""
    both = {"teacher_logits": random_logits(rng, 6, 4), "student_logits": random_logits(rng, 6, 4)}
    limit = logits_loss(**both, temperature=1.0)
    np.testing.assert_allclose(hinton_loss(**both, temperature=300.0), limit, rtol=0.03)


@pytest.mark.parametrize("name", ["hinton", "soft_ce", "logits"])
@pytest.mark.parametrize("hard_weight", [0.0, 0.3, 1.0])
def test_soft_and_hard_labels_share_the_loss(
    rng: np.random.Generator, name: str, hard_weight: float
) -> None:
    teacher, student = random_logits(rng, 3, 1, 4), random_logits(rng, 3, 4)
    targets = pack_targets(teacher_logits=teacher, labels=np.array([2, 0, -1]))[:, 0]
    loss = soft_label_loss(5.0, loss=name, hard_weight=hard_weight)(targets, student)
    soft = soft_label_loss(5.0, loss=name)(targets, student)
    hard = hard_label_loss(targets, student)
    expected = (1 - hard_weight) * np.asarray(soft) + hard_weight * np.asarray(hard)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert np.asarray(hard)[2] == 0  # no label
    assert not np.allclose(soft, hard)


def test_soft_label_loss_learns_from_the_teacher_alone(rng: np.random.Generator) -> None:
    teacher, student = random_logits(rng, 6, 1, 4), random_logits(rng, 6, 4)
    losses = [
        soft_label_loss(5.0)(pack_targets(teacher_logits=teacher, labels=labels)[:, 0], student)
        for labels in (np.zeros(6, int), np.full(6, -1))
    ]
    np.testing.assert_allclose(losses[0], reference(teacher[:, 0], student, 5.0), rtol=1e-5)
    np.testing.assert_array_equal(losses[0], losses[1])


def test_hard_label_loss_against_numpy_and_without_a_label(rng: np.random.Generator) -> None:
    logits, labels = random_logits(rng, 4, 3), np.array([2, -1, 0, 1])
    targets = pack_targets(teacher_logits=random_logits(rng, 4, 1, 3), labels=labels)[:, 0]
    expected = -log_softmax(logits.astype(np.float64), -1)[np.arange(4), labels]
    expected[1] = 0  # unlabelled
    np.testing.assert_allclose(hard_label_loss(targets, logits), expected, rtol=1e-5)
    slope = gradient(lambda logits: hard_label_loss(targets, logits), logits)
    np.testing.assert_array_equal(slope[1], 0)
    assert np.abs(slope[[0, 2, 3]]).min() > 0


def test_hard_label_loss_is_finite_where_logits_saturate() -> None:
    targets = pack_targets(teacher_logits=np.zeros((2, 1, 2), np.float32), labels=np.array([0, 1]))
    logits = np.array([[-1e4, 1e4], [-1e4, 1e4]], np.float32)
    np.testing.assert_allclose(hard_label_loss(targets[:, 0], logits), [2e4, 0])


def test_accuracy_and_agreement_count_different_things() -> None:
    teacher = np.array([[[0, 1]], [[1, 0]], [[0, 1]], [[1, 0]]], np.float32)
    targets = pack_targets(teacher_logits=teacher, labels=np.array([0, 0, 1, -1]))[:, 0]
    logits = np.array([[2, 1], [2, 1], [2, 1], [2, 1]], np.float32)  # always class 0
    np.testing.assert_array_equal(accuracy(targets, logits), [1, 1, 0, np.nan])
    np.testing.assert_array_equal(agreement(targets, logits), [0, 1, 0, 1])


def test_packed_targets(rng: np.random.Generator) -> None:
    teacher = random_logits(rng, 3, 2, 4)
    targets = pack_targets(teacher_logits=teacher, labels=np.array([1, -1, 3]))
    assert targets.shape == (3, 2, 2, 4)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets[:, :, 0], teacher)
    for column in (0, 1):
        hard = [[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
        np.testing.assert_array_equal(targets[:, column, 1], hard)
