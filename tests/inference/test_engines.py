import numpy as np

from tomodistill.inference.engines import in_batches


def test_batches_come_in_order_and_are_never_too_large() -> None:
    sizes = []

    def run(volumes: np.ndarray) -> np.ndarray:
        sizes.append(len(volumes))
        return volumes.sum(axis=(2, 3))

    volumes = np.arange(7 * 8, dtype=np.float32).reshape(7, 2, 2, 2)
    np.testing.assert_array_equal(in_batches(run, volumes, largest=3), volumes.sum(axis=(2, 3)))
    assert sizes == [3, 3, 1]
