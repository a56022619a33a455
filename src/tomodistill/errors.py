"""The one exception for what a user can mend; everything else is a bug and keeps its traceback."""

from collections.abc import Sequence

_SHOWN = 5  # of many names in a message


def few(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


class InputError(ValueError):
    """Something a user gave cannot be used: says what was expected, what was found, what to do."""

    def __init__(self, *, expected: str, found: str, todo: str) -> None:
        self.expected, self.found, self.todo = expected, found, todo
        super().__init__(f"expected {expected}; found {found.rstrip('.')}. {todo}")
