class StackError(Exception):
    """The stack cannot do what was asked; the message is the line that the user reads."""


class AlreadyRunningError(StackError):
    """Another `whodex up` holds this state directory."""


class NotStateDirectoryError(StackError):
    """What is to be the state directory belongs to something else."""


class PartFailedError(StackError):
    """A part did not become ready."""

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part} {reason}")
        self.part = part
        self.reason = reason
