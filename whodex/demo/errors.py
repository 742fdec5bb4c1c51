"""What can go wrong in the demo, apart from the stack and the client."""


class DemoError(Exception):
    """The demo cannot go on; the message says why, and what to do."""


class SamplesError(DemoError):
    """The sample pictures could not be fetched, or are not the pinned ones."""
