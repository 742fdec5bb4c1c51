class CommandError(Exception):
    """A command cannot do what was asked.

    Args:
        message: one sentence for a person: what is wrong and what to do.
        reason: for programs; empty when the sentence says it all.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason
