"""Whether a network and a set are made for each other."""

from tomodistill.errors import InputError
from tomodistill.inference.version import Manifest
from tomodistill.subtomograms.dataset import UNLABELLED, SetHeader, SubtomogramSet

_OTHER = "Take a set that matches"
_TODO = {"class_names": "Take a set of these classes, or without labels (ingest: class_names=none)"}


def check_alike(data: SubtomogramSet, to: Manifest | SetHeader) -> None:
    """Raises InputError unless the set is of the kind a teacher was trained on."""
    labelled = bool((data.labels != UNLABELLED).any())
    of_labels = ("class_names",) if labelled else ()
    for name in ("box", "voxel_spacing", "contrast", *of_labels):
        wanted, found = getattr(to, name), getattr(data.header, name)
        if wanted != found:
            raise InputError(
                expected=f"a set with the teacher's {name}, {wanted}",
                found=f"{found} in {data.path}",
                todo=f"{_TODO.get(name, _OTHER)}, or train a teacher on one like it.",
            )
