"""Faces, and what decodes their pictures, in the words of the contracts."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from inference.faces.quality import FaceQuality
from inference.models.manifest import EmbedderManifest
from inference.sandbox.lockdown import Layer
from whodex.v1 import decoder_pb2, embedding_pb2, geometry_pb2, person_pb2
from whodex.v1.decoder_pb2 import DecoderHost, SandboxLayer

# The rates that the contract names, by their share.
_FALSE_MATCH_RATES = {
    1e-2: embedding_pb2.FALSE_MATCH_RATE_ONE_IN_100,
    1e-3: embedding_pb2.FALSE_MATCH_RATE_ONE_IN_1000,
    1e-4: embedding_pb2.FALSE_MATCH_RATE_ONE_IN_10000,
    1e-5: embedding_pb2.FALSE_MATCH_RATE_ONE_IN_100000,
}

_LAYERS = {
    Layer.SECCOMP: decoder_pb2.SANDBOX_LAYER_SECCOMP,
    Layer.LANDLOCK: decoder_pb2.SANDBOX_LAYER_LANDLOCK,
    Layer.NAMESPACES: decoder_pb2.SANDBOX_LAYER_NAMESPACES,
}


def box_to_proto(box_xyxy: NDArray[np.float32]) -> geometry_pb2.Box:
    """Converts float32 (4,): left, top, right, bottom in pixels."""
    left, top, right, bottom = (float(value) for value in box_xyxy)
    return geometry_pb2.Box(left=left, top=top, right=right, bottom=bottom)


def box_from_proto(box: geometry_pb2.Box) -> NDArray[np.float32]:
    """The reverse of `box_to_proto`."""
    return np.array([box.left, box.top, box.right, box.bottom], np.float32)


def quality_to_proto(quality: FaceQuality) -> person_pb2.FaceQuality:
    """Converts the measured numbers."""
    return person_pb2.FaceQuality(
        face_size_px=quality.face_size_px,
        sharpness=quality.sharpness,
        detection_score=quality.detection_score,
        eye_distance_px=quality.eye_distance_px,
        blur=quality.blur,
        yaw_degrees=quality.pose.yaw,
        pitch_degrees=quality.pose.pitch,
        roll_degrees=quality.pose.roll,
        luminance=quality.exposure.luminance,
        dark_share=quality.exposure.dark_share,
        bright_share=quality.exposure.bright_share,
        occlusion=quality.occlusion,
    )


def space_to_proto(embedder: EmbedderManifest) -> embedding_pb2.EmbeddingSpace:
    """What a deployment has to know of an embedder: its space and the thresholds of its calibration."""
    return embedding_pb2.EmbeddingSpace(
        space=embedder.space,
        dimension=embedder.embedding.dimension,
        model=embedder.title,
        thresholds=[
            embedding_pb2.Threshold(
                false_match_rate=_FALSE_MATCH_RATES[threshold.fmr],
                similarity=threshold.similarity,
                extrapolated=threshold.extrapolated,
            )
            for threshold in embedder.calibration.thresholds
        ],
    )


def layers_to_proto(missing_layers: Collection[Layer]) -> list[SandboxLayer.ValueType]:
    """Converts the layers that a machine lacks, in the order of their numbers."""
    return sorted(_LAYERS[layer] for layer in missing_layers)


def decoder_host_to_proto(host: str, missing_layers: Collection[Layer]) -> DecoderHost:
    """Says of a machine, now, which layers it lacks."""
    message = DecoderHost(host=host, missing_layers=layers_to_proto(missing_layers))
    message.report_time.GetCurrentTime()
    return message
