"""What a version is to know of its own limits. The defaults are those of the `quick` scale."""

from dataclasses import dataclass

from tomodistill.errors import InputError

NO_CLASSES = "none"  # held out
_A = "apoferritin,enolase,ornithine_carbamoyltransferase,rna_polymerase"
_B = "citrate_synthase,glutamate_dehydrogenase,propionyl_coa_carboxylase,rubisco"


@dataclass(frozen=True)
class Confidence:
    """Calibration needs no setting; these are of what is like none of the classes."""

    false_rejection: float = 0.05  # share of items of known classes that may be called unknown
    held_out_a: str = _A  # structures not trained on, that choose the score; "none": no unknown
    held_out_b: str = _B  # others, on which it is measured
    held_out_items: int = 60  # subtomograms of each held-out class

    def __post_init__(self) -> None:
        self._check("false_rejection", 0 < self.false_rejection <= 0.5, "above 0, up to 0.5")
        self._check("held_out_items", self.held_out_items >= 4, "an integer of at least 4")
        for name in ("held_out_a", "held_out_b"):
            names = split_names(getattr(self, name))
            once = all(names) and len(set(names)) == len(names)
            self._check(name, once, 'structure names, comma-separated, or "none"')
        both = bool(self.classes_a) == bool(self.classes_b)
        self._check("held_out_b", both, "classes in both held_out_a and held_out_b, or in neither")
        shared = sorted(set(self.classes_a) & set(self.classes_b))
        self._check("held_out_b", not shared, f"none of held_out_a, as {', '.join(shared)} is")

    @property
    def classes_a(self) -> tuple[str, ...]:
        """Held-out classes on which the score is chosen."""
        return split_names(self.held_out_a)

    @property
    def classes_b(self) -> tuple[str, ...]:
        """Held-out classes on which it is measured."""
        return split_names(self.held_out_b)

    @property
    def held_out(self) -> tuple[str, ...]:
        """A and B; empty where nothing is held out."""
        return self.classes_a + self.classes_b

    def _check(self, name: str, valid: bool, expected: str) -> None:
        if not valid:
            raise InputError(
                expected=f"{name}: {expected}",
                found=f"{name}={getattr(self, name)}",
                todo=f"Give another {name}.",
            )


def split_names(text: str) -> tuple[str, ...]:
    """Names of a comma-separated list; none of "none"."""
    return () if text == NO_CLASSES else tuple(name.strip() for name in text.split(","))
