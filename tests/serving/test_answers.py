import numpy as np

from serving.answers import Prediction


def test_class_is_the_most_probable_one():
    probabilities = np.array([0.125, 0.25, 0.625], np.float32)
    for shift, expected in enumerate(("c", "a", "b")):
        answer = Prediction.of(np.roll(probabilities, shift), ("a", "b", "c")).model_dump(
            by_alias=True
        )
        assert answer["class"] == expected
        assert answer["probability"] == 0.625
        assert answer["probabilities"][expected] == 0.625
        assert list(answer["probabilities"]) == ["a", "b", "c"]
