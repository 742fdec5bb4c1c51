"""From a false match rate to the similarity that gives it."""

from pydantic import BaseModel, ConfigDict, Field

from inference.models.errors import CalibrationError


class Threshold(BaseModel):
    """One row of a calibration table.

    Attributes:
        fmr: the false match rate, the share of comparisons of different people at or above ``similarity``.
        similarity: the cosine similarity from which two embeddings count as the same person, inclusive.
        true_match_rate: the share of comparisons of the same person at or above it, on the same photos.
        extrapolated: whether the set had too few comparisons to measure this rate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fmr: float = Field(gt=0, lt=1)
    similarity: float = Field(ge=-1, le=1)
    true_match_rate: float = Field(ge=0, le=1)
    extrapolated: bool


class Calibration(BaseModel):
    """What was measured, on what.

    Attributes:
        data: the photos it was measured on.
        method: how the figures were made.
        same_person_comparisons: how many pairs of photos of one person.
        other_person_comparisons: how many pairs of photos of different people.
        thresholds: the table, highest rate first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str
    method: str
    same_person_comparisons: int = Field(gt=0)
    other_person_comparisons: int = Field(gt=0)
    thresholds: tuple[Threshold, ...] = Field(min_length=1)

    def threshold_for(self, fmr: float) -> Threshold:
        """Look up a false match rate.

        Raises:
            CalibrationError: the table has no such rate; rates in between are not interpolated.
        """
        for threshold in self.thresholds:
            if threshold.fmr == fmr:
                return threshold
        known = ", ".join(f"{threshold.fmr:g}" for threshold in self.thresholds)
        raise CalibrationError(f"No threshold for a false match rate of {fmr:g}; there are: {known}.")
