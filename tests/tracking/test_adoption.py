import keras
import mlflow
import mlflow.keras
import mlflow.sklearn
import mlflow.tensorflow
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier

from tomodistill.errors import InputError
from tomodistill.tracking.adoption import find_registered, load_registered

NAMES = "clpp, groel,rubisco"
NOTED = {"class_names": NAMES}
PLAIN = {"pip_requirements": ["keras"]}  # else MLflow loads the model to find out


def classifier(*more: keras.Layer) -> keras.Model:
    last = keras.layers.Dense(3, activation="softmax")
    return keras.Sequential([keras.Input((4, 4, 4, 1)), *more, keras.layers.Flatten(), last])


def register(client, name, model=None, *, flavor=mlflow.keras, noted=None, **options):
    """Version 1 of a registered model; its run."""
    with mlflow.start_run() as run:
        flavor.log_model(
            model or classifier(), name="model", registered_model_name=name, **PLAIN, **options
        )
    for key, value in (noted or {}).items():
        client.set_model_version_tag(name, "1", key, value)
    return run.info.run_id


@pytest.mark.parametrize("flavor", [mlflow.keras, mlflow.tensorflow])
def test_a_classifier_is_found_and_loaded_as_it_was_registered(client, flavor, rng):
    name, model = flavor.FLAVOR_NAME, classifier()
    run_id = register(client, name, model, flavor=flavor, noted=NOTED)
    client.set_registered_model_alias(name, "best", "1")
    found = find_registered(f"models:/{name}@best")
    assert found == find_registered(f"models:/{name}/1")
    assert found.uri == f"models:/{name}/1"
    assert found.class_names == ("clpp", "groel", "rubisco")
    volumes = rng.normal(size=(2, 4, 4, 4, 1)).astype(np.float32)
    np.testing.assert_array_equal(load_registered(found)(volumes), model(volumes))
    client.set_tag(run_id, "class_names", NAMES)
    assert find_registered(f"runs:/{run_id}/model").model_id == found.model_id


@pytest.mark.parametrize("place", ["model", "metadata", "registered", "run", "version"])
def test_class_names_are_read_where_they_were_noted(client, place):
    given = {"version": "noted", "model": "tags", "metadata": "metadata"}
    run_id = register(client, place, **({given[place]: NOTED} if place in given else {}))
    if place == "registered":
        client.set_registered_model_tag(place, "class_names", NAMES)
    if place == "run":
        client.set_tag(run_id, "class_names", NAMES)
    assert find_registered(f"models:/{place}/1").class_names == ("clpp", "groel", "rubisco")


def test_a_classifier_whose_classes_nobody_noted_is_refused(client):
    register(client, "nameless")
    with pytest.raises(InputError, match=r"class names of models:/nameless/1.*Set that tag"):
        find_registered("models:/nameless/1")


class Theirs(keras.layers.Layer):
    def call(self, inputs):
        return inputs


@pytest.mark.parametrize("layer", [keras.layers.Lambda(lambda volumes: volumes), Theirs()])
def test_a_model_that_brings_code_is_refused(client, layer):
    name = type(layer).__name__
    register(client, name, classifier(layer), noted=NOTED)
    with pytest.raises(InputError, match="that loads without code of its own"):
        load_registered(find_registered(f"models:/{name}/1"))


def test_a_model_of_another_library_is_refused(client):
    fitted = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
    register(client, "sklearn", fitted, flavor=mlflow.sklearn)
    with pytest.raises(InputError, match=r"logged with mlflow.keras.*found .*sklearn"):
        find_registered("models:/sklearn/1")


@pytest.mark.parametrize(
    "uri", ["models:/nobody/1", f"models:/m-{'0' * 32}", f"runs:/{'0' * 32}/model", "models:/x"]
)
def test_what_is_not_there_is_refused(client, uri):
    with pytest.raises(InputError) as caught:
        find_registered(uri)
    assert uri in caught.value.expected
