"""Follows faces through one scene: links what is seen at one sampled time to what was seen before."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from inference.faces.analyzer import Face
from inference.faces.boxes import iou
from inference.faces.decode import DecodedImage
from inference.faces.embedding import cosine_similarity, normalise
from inference.faces.thumbnail import face_thumbnail
from inference.video import best_shots
from inference.video.best_shots import Candidate

# Where the limits come from: pairs of photographs of LFW (450 of one person, 4,500 of two), and the demo's rendered
# video with stills, pans, zooms and a group of six (326 links, 703 pairs of a track and the face of another). No real
# videos with known tracks were at hand, so nothing is tuned.
MAX_GAP_S = 1.0
"""A face not seen for longer than this starts a new track when it comes back. Chosen, not measured: five samples, for a
head that turns or a hand that passes, and little time in which the track shows somebody out of sight."""
SAME_FACE = 0.4
"""Cosine similarity from which two faces of one scene are one, wherever they are in the frame.

Between the embedder's thresholds for false match rates of 1e-4 and 1e-5 (0.37 and 0.43): a wrong link makes one track
of two people, which nothing mends later, a missing one only two tracks of one person. On LFW no pair of two people
comes near (0.32 at most), and 0.9 % of the pairs of one person stay below; so does one link of the video. Two of the
group are alike up to 0.46: they are told apart only because each has a track of its own to continue.
"""
SAME_PLACE = 0.3
"""Intersection over union from which two boxes are one face, unless the faces differ. A face that has moved by half its
width since its last sample overlaps by a third; in the video no link overlaps by less than a half."""
OTHER_FACE = 0.1
"""Cosine similarity below which two faces differ even in the same place. The place decides for faces that embed badly,
turned away or blurred. On LFW every pair of one person lies above (0.34 at least), and 77 % of the pairs of two people
below: the others are what a cut that was missed can join."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """A face in a sampled frame.

    Attributes:
        face: where it is and how it looks.
        embedding: float32 (D,), of Euclidean length 1.
    """

    face: Face
    embedding: NDArray[np.float32]


@dataclass(slots=True, eq=False)
class Track:
    """A face followed so far.

    Attributes:
        start_s: when it came into sight, seconds: halfway between the sample before it and its first one.
        end_s: when it went out of sight, seconds; None while it is in sight.
        weighted_sum: float64 (D,), the sum of its embeddings, each times its face's weight.
        best: its best shots.
        times_s: the sampled times at which it was seen.
        boxes_xyxy: float32 (4,) each, where it was.
    """

    start_s: float
    end_s: float | None
    weighted_sum: NDArray[np.float64]
    best: list[Candidate] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)
    boxes_xyxy: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def embedding(self) -> NDArray[np.float32]:
        """float32 (D,), the weighted mean of its faces, of Euclidean length 1."""
        return normalise(np.asarray(self.weighted_sum, np.float32))

    def add(self, time_s: float, sighting: Sighting, frame: DecodedImage) -> None:
        """Take one more face.

        Args:
            time_s: when it was seen, seconds.
            sighting: the face.
            frame: what it was seen in.
        """
        face = sighting.face
        self.end_s = None
        self.weighted_sum += face.quality.weight * sighting.embedding
        self.times_s.append(time_s)
        self.boxes_xyxy.append(face.box_xyxy)
        if best_shots.wants(self.best, time_s, face):
            thumbnail = face_thumbnail(frame, face)
            self.best = best_shots.add(self.best, Candidate(time_s, face, thumbnail))


class Tracker:
    """Follows the faces of one scene.

    At each sampled time every face goes to at most one track and every track takes at most one face, so
    that two faces of one frame are never one. The most alike pair is linked first.

    Args:
        start_s: where the scene starts, seconds.
    """

    def __init__(self, start_s: float) -> None:
        self._tracks: list[Track] = []
        self._start_s = start_s
        self._last_sample_s: float | None = None

    def add(self, time_s: float, sightings: Sequence[Sighting], frame: DecodedImage) -> None:
        """Take the faces of the next sampled frame.

        Args:
            time_s: when it is shown, seconds.
            sightings: its faces.
            frame: the frame.
        """
        since_s = self._start_s if self._last_sample_s is None else (self._last_sample_s + time_s) / 2
        alive = [track for track in self._tracks if time_s - track.times_s[-1] <= MAX_GAP_S]
        linked = link(alive, sightings)
        for track in self._tracks:
            if track.end_s is None:
                track.end_s = since_s
        for index, sighting in enumerate(sightings):
            track = linked.get(index) or self._begin(since_s, sighting)
            track.add(time_s, sighting, frame)
        self._last_sample_s = time_s

    @property
    def tracks(self) -> list[Track]:
        """All tracks of the scene so far, in order of their start."""
        return self._tracks

    def _begin(self, start_s: float, sighting: Sighting) -> Track:
        track = Track(start_s=start_s, end_s=None, weighted_sum=np.zeros(sighting.embedding.shape))
        self._tracks.append(track)
        return track


def link(tracks: Sequence[Track], sightings: Sequence[Sighting]) -> dict[int, Track]:
    """Decide which faces of a frame continue which tracks.

    Greedy, the pair with the highest sum of similarity and overlap first. Within a fifth of a second faces
    hardly ever compete for a track, and where they do the surer link is the right one: the sum over all pairs,
    which the Hungarian algorithm would make the highest, means nothing.

    Args:
        tracks: those that may continue.
        sightings: the faces of the frame.

    Returns:
        The track that each face continues, by the face's index; a face that is not there begins a track.
    """
    if not tracks or not sightings:
        return {}
    overlaps = iou(
        np.stack([track.boxes_xyxy[-1] for track in tracks]),
        np.stack([sighting.face.box_xyxy for sighting in sightings]),
    )
    similarities = cosine_similarity(
        np.stack([track.embedding for track in tracks]),
        np.stack([sighting.embedding for sighting in sightings]),
    )
    allowed = (similarities >= SAME_FACE) | ((overlaps >= SAME_PLACE) & (similarities >= OTHER_FACE))
    scores = np.where(allowed, similarities + overlaps, -np.inf)
    linked: dict[int, Track] = {}
    while np.isfinite(scores).any():
        row, column = np.unravel_index(np.argmax(scores), scores.shape)
        linked[int(column)] = tracks[int(row)]
        scores[row, :] = scores[:, column] = -np.inf
    return linked
