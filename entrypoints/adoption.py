"""A registered Keras classifier in the place of a trained teacher."""

from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from entrypoints.alike import check_alike
from entrypoints.training import Trained, make_manifest
from tomodistill.distillation.training import History
from tomodistill.errors import InputError
from tomodistill.inference.classifier import Classifier
from tomodistill.inference.keras_engine import KerasEngine
from tomodistill.inference.version import Manifest, read_manifest
from tomodistill.networks.adopted import with_logits
from tomodistill.scales import Scale
from tomodistill.subtomograms.dataset import SubtomogramSet
from tomodistill.tracking.adoption import Registered, load_registered

_TOLERANCE = 1e-3  # of the logarithm of a sum of probabilities


def check_classes(registered: Registered, data: SubtomogramSet) -> None:
    """Raises InputError unless it knows the classes of the set, in their order."""
    names = data.header.class_names
    if registered.class_names != names:
        raise InputError(
            expected=f"a teacher of the classes {', '.join(names)}, in this order",
            found=f"{', '.join(registered.class_names)} in {registered.uri}",
            todo="Choose the set's classes with -P classes=..., or another teacher.",
        )


def adopt(registered: Registered, scale: Scale, data: SubtomogramSet) -> Trained:
    """The classifier as if it had been trained on the set; it has no learning curves.

    One of ours keeps its own preprocessing; any other is given volumes as the scale has them.
    Raises InputError if it cannot classify the volumes of the set.
    """
    model = load_registered(registered)
    if registered.folder:
        manifest = replace(read_manifest(registered.folder), role="teacher", metrics={}, files={})
        check_alike(data, manifest)
        _check_unseen(manifest, data)
        return Trained(Classifier(manifest, KerasEngine(model)), model, History({}))
    manifest = _manifest(registered, scale, data)
    box = manifest.preprocessing.edge(manifest.box)
    model = with_logits(model, box=box, classes=len(manifest.class_names))
    trained = Trained(Classifier(manifest, KerasEngine(model)), model, History({}))
    _check_probabilities(trained.classifier, data)
    return trained


def _manifest(registered: Registered, scale: Scale, data: SubtomogramSet) -> Manifest:
    """Of a model of which nothing is known: tilts, SNR and data are those it was adopted for."""
    manifest = make_manifest(
        data,
        network=registered.uri,
        role="teacher",
        config=scale.teacher,
        preprocessing=scale.preprocessing,
        digests={},
    )
    return replace(manifest, training={"adopted": registered.uri})


def _check_unseen(manifest: Manifest, data: SubtomogramSet) -> None:
    """Of a training on the set itself only its training part was learned."""
    if data.digest in manifest.digests.get("transfer", ""):
        raise InputError(
            expected="a teacher that has never learned the set's validation and test part",
            found=f"one for which {data.path} was a transfer set",
            todo="Choose another teacher, or another seed for the set.",
        )


def _check_probabilities(classifier: Classifier, data: SubtomogramSet) -> None:
    sums = logsumexp(classifier.logits(data.volumes(data.rows("val"))), axis=1)
    if not np.all(np.abs(sums) < _TOLERANCE):
        raise InputError(
            expected="a classifier that gives probabilities: a softmax at its end",
            found=f"outputs whose sum is {np.exp(sums[0]):.3g}",
            todo="Register it again with a Softmax layer at its end.",
        )
