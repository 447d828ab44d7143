"""The rules that set a threshold: a number, or a rule that is applied to validation frames."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from deepfake_detection.common.errors import UserError

if TYPE_CHECKING:  # every stage reads the parameters, and few choose a threshold
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Rule:
    """A rule for a threshold. ``value`` is what parameters and JSON files hold: a number in (0, 1) or a name.

    ``rate`` is the x of ``fpr@x``, the share of originals that may be called fake, and None for the other rules.
    """

    value: float | str
    rate: float | None = None

    FORMS: ClassVar = "a number, youden or fpr@0.01"
    MEANING: ClassVar = (
        "`youden`: largest TPR - FPR. `fpr@0.01`: lowest threshold that accuses at most 1% of the originals."
    )
    USUAL: ClassVar = ("youden", "fpr@0.01")  # in the sidecar whatever rule is asked for

    @classmethod
    def parse(cls, value: object) -> "Rule":
        """The rule for a number in (0, 1), ``youden``, or ``fpr@x`` with x in (0, 1). Raises ValueError for others."""
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
            return cls(float(value))
        if value == "youden":
            return cls("youden")
        rate = re.fullmatch(r"fpr@(\d*\.?\d+(?:e-?\d+)?)", value) if isinstance(value, str) else None
        if rate and 0 < float(rate[1]) < 1:
            return cls(rate[0], float(rate[1]))
        raise ValueError(f"must be a number between 0 and 1, youden, or fpr@x with x between 0 and 1; found {value!r}")

    def words(self) -> str:
        """How the threshold was found, to stand beside it."""
        if self.rate is not None:
            return f"the most deepfakes found with a false positive rate of at most {self.rate:g} on validation"
        return "the largest TPR minus FPR on validation" if self.value == "youden" else "fixed beforehand"

    def choose(self, labels: "NDArray[np.int64]", probabilities: "NDArray[np.float64]") -> float:
        """The threshold for these frames, strictly between 0 and 1. A frame is called fake if it reaches the threshold.

        ``labels`` and ``probabilities`` are of shape (frames,). A number is the threshold itself. ``youden`` maximises
        TPR - FPR (Youden 1950); of several maxima it takes the highest threshold, which calls the fewest frames fake.
        ``fpr@x`` is the lowest threshold at which the FPR over these frames is at most x. Both place the threshold in
        the middle between the two nearest scores.

        Raises UserError for frames of one class only, and when so many originals have probability 1 that no threshold
        below 1 keeps the requested FPR.
        """
        if isinstance(self.value, float):
            return self.value
        import numpy as np
        from sklearn.metrics import roc_curve

        if len(np.unique(labels)) < 2:
            raise UserError(
                f"calibrate.threshold {self.value} needs validation frames of both classes, found one or none: "
                "enlarge split.val or name a number such as 0.5"
            )
        fpr, tpr, scores = roc_curve(labels, probabilities, drop_intermediate=False)
        # Point k of the curve calls the k highest distinct scores fake.
        lowest_called = np.concatenate([[1.0], scores[1:]])
        highest_left = np.concatenate([scores[1:], [0.0]])
        middle = (lowest_called + highest_left) / 2
        middle = np.where(middle <= highest_left, lowest_called, middle)  # no number between the two scores
        possible = (middle > 0) & (middle < 1)
        if self.rate is None:
            gain = np.where(possible, tpr - fpr, -np.inf)
            return float(middle[np.flatnonzero(gain >= gain.max() - 1e-12)[0]])
        within = np.flatnonzero(possible & (fpr <= self.rate))
        if not len(within):
            raise UserError(
                f"calibrate.threshold {self.value} cannot be kept: too many validation originals have probability 1; "
                "allow a higher rate, name a number, or train again with a lower train.lr"
            )
        return float(middle[within[-1]])
