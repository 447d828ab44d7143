"""The rules that set a threshold: a number, or a rule that is applied to validation frames."""

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from deepfake_detection.common.errors import UserError

if TYPE_CHECKING:  # every stage reads the parameters, and few choose a threshold
    import numpy as np
    from numpy.typing import NDArray


CONFIDENCE = 0.95  # with which the true rate is at most the x of fpr@x


@dataclass(frozen=True)
class Rule:
    """A rule for a threshold. ``value`` is what parameters and JSON files hold: a number in (0, 1) or a name.

    ``rate`` is the x of ``fpr@x``, the share of originals that may be called fake, and None for the other rules.
    """

    value: float | str
    rate: float | None = None

    FORMS: ClassVar = "a number, youden or fpr@0.01"
    MEANING: ClassVar = (
        "`youden`: largest TPR - FPR. `fpr@0.01`: lowest threshold that accuses at most 1% of originals like those of "
        "validation, with 95% confidence; it needs 299 independent ones."
    )
    USUAL: ClassVar = ("youden", "fpr@0.01", "fpr@0.05")  # in the sidecar whatever rule is asked for

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
            limit = f"a false positive rate of at most {self.rate:g} at {CONFIDENCE:.0%} confidence"
            return f"the most deepfakes found with {limit}"
        return "the largest TPR minus FPR on validation" if self.value == "youden" else "fixed beforehand"

    def choose(self, labels: "NDArray[np.int64]", probabilities: "NDArray[np.float64]", originals: float) -> float:
        """The threshold for these frames, strictly between 0 and 1. A frame is called fake if it reaches the threshold.

        ``labels`` and ``probabilities`` are of shape (frames,). A number is the threshold itself. ``youden`` maximises
        TPR - FPR (Youden 1950); of several maxima it takes the highest threshold, which calls the fewest frames fake.
        ``fpr@x`` is the lowest threshold at which the upper bound of the FPR is at most x: see ``highest_rate``.
        ``originals`` is how many independent ones there are, because frames of one video are alike; infinity takes
        the FPR over these frames for the true one. Both rules place the threshold in the middle between the two nearest
        scores.

        Raises UserError for frames of one class only, when ``originals`` are too few to show the rate, and when so many
        of them have probability 1 that no threshold below 1 keeps it.
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
        if self.rate is not None and highest_rate(0, originals) > self.rate:
            raise UserError(
                f"calibrate.threshold {self.value} needs {needed(self.rate)} independent originals in validation, and "
                f"there are {math.floor(originals)}, which show no rate below {lowest_shown(originals):g}: "
                "enlarge split.val, allow a higher rate or name a number such as 0.5"
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
        within = np.flatnonzero(possible & (highest_rate(fpr, originals) <= self.rate))
        if not len(within):
            raise UserError(
                f"calibrate.threshold {self.value} cannot be kept: too many validation originals have probability 1; "
                "allow a higher rate, name a number, or train again with a lower train.lr"
            )
        return float(middle[within[-1]])


def highest_rate(found: Any, originals: float) -> Any:
    """The upper end of the one-sided 95% interval of Clopper and Pearson 1934 for a rate ``found`` in ``originals``.

    ``found`` is a number or an array. If frames of one video are alike, ``originals`` is the number of independent
    groups, and ``found`` the mean of their shares, which varies no more than that of as many yes or no answers. The
    lowest threshold with a bound of at most x has a true rate above x in at most 5% of validation sets (Tong, Feng and
    Li 2018, Neyman-Pearson classification algorithms and NP receiver operating characteristics, Science Advances 4).
    """
    if math.isinf(originals):
        return found
    import numpy as np
    from scipy.special import betaincinv

    called = np.minimum(np.asarray(found, float) * originals, originals)
    return np.where(called < originals, betaincinv(called + 1, np.maximum(originals - called, 1e-9), CONFIDENCE), 1.0)


def needed(rate: float) -> int:
    """How many independent originals show a rate: none of them may be called, and then the bound is ``rate``."""
    return math.ceil(math.log(1 - CONFIDENCE) / math.log1p(-rate))


def lowest_shown(originals: float) -> float:
    """The lowest rate that this many independent originals can show, rounded up to two digits."""
    rate = 1 - (1 - CONFIDENCE) ** (1 / originals) if originals > 0 else 1.0
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return min(1.0, math.ceil(rate / step) * step)
