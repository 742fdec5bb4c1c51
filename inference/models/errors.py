"""What can go wrong with the models' files; each message says what to do."""


class ModelError(Exception):
    """A model cannot be used; the message is one line for the person at the terminal."""


class ManifestError(ModelError):
    """A manifest is missing, or says something that cannot be."""


class PackageError(ModelError):
    """A model's package could not be fetched, or is not the one that the manifest pins."""


class ModelNotPreparedError(ModelError):
    """A model is not in the cache yet, or what is there is not what was prepared."""


class GoldenMismatchError(ModelError):
    """A prepared model answers something else than its golden vector."""


class CalibrationError(ModelError):
    """The manifest holds no threshold for the false match rate asked for."""
