"""The one exception for what a user can mend; everything else is a bug and keeps its traceback."""


class InputError(ValueError):
    """Something a user gave cannot be used: says what was expected, what was found, what to do."""

    def __init__(self, *, expected: str, found: str, todo: str) -> None:
        self.expected, self.found, self.todo = expected, found, todo
        super().__init__(f"expected {expected}; found {found}. {todo}")
