"""What can go wrong between a process and Triton, transient against permanent in the type."""


class TritonError(Exception):
    """Something failed between this process and Triton."""


class TritonTransientError(TritonError):
    """A later attempt can succeed: nothing is wrong with the input."""


class TritonUnavailableError(TritonTransientError):
    """Triton is away, is still loading the model, or its model instance has died."""


class TritonOverloadedError(TritonTransientError):
    """The model's queue is full, or the request waited there longer than its policy allows."""


class TritonDeadlineExceededError(TritonTransientError):
    """No answer arrived within the caller's deadline."""


class TritonGoldenMismatchError(TritonTransientError):
    """The served model answers, but not what the manifest's golden vector says."""


class TritonInputError(TritonError):
    """The input has the wrong shape or type, or the model refused it; a retry cannot help."""


class TritonEnvironmentError(Exception):
    """Triton cannot run on this machine as it is; the message is one line that says what to do."""
