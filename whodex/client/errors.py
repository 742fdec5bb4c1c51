class ConfigurationError(Exception):
    """The client does not know whom to call, or as whom; the message says what to set."""
