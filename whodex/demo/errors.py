"""What can go wrong in the demo, apart from the stack and the client."""


class SamplesError(Exception):
    """The sample pictures could not be fetched, or are not the pinned ones; the message says what to do."""
