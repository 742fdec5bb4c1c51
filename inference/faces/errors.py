"""What can be wrong with a picture; each message is one sentence that says what to do."""

from inference.errors import MediaError
from whodex.v1 import failure_pb2


class UnreadableImageError(MediaError):
    """The bytes are empty, damaged or truncated, or not in a format that is read."""

    reason = failure_pb2.FAILURE_REASON_UNREADABLE_IMAGE


class ImageTooLargeError(MediaError):
    """The picture has too many pixels; it was refused before any of them was decoded."""

    reason = failure_pb2.FAILURE_REASON_IMAGE_TOO_LARGE


class NoFaceError(MediaError):
    """The picture shows no face."""

    reason = failure_pb2.FAILURE_REASON_NO_FACE


class SeveralFacesError(MediaError):
    """The picture shows several faces that would do, and none was named."""

    reason = failure_pb2.FAILURE_REASON_SEVERAL_FACES


class FaceNotAtBoxError(MediaError):
    """The picture shows faces, but none where the caller said."""

    reason = failure_pb2.FAILURE_REASON_FACE_NOT_AT_BOX


class FaceTooSmallError(MediaError):
    """The face has too few pixels to be recognised reliably."""

    reason = failure_pb2.FAILURE_REASON_FACE_TOO_SMALL


class FaceNotSharpError(MediaError):
    """The face is too blurred to be recognised reliably."""

    reason = failure_pb2.FAILURE_REASON_FACE_NOT_SHARP


class FaceBadlyExposedError(MediaError):
    """The face is too dark or too bright to be recognised reliably."""

    reason = failure_pb2.FAILURE_REASON_FACE_BADLY_EXPOSED
