"""The JSON file beside a checkpoint that says how it did in its tests, for who relies on its verdicts.

It names the files that were tested by their SHA-256, so that the figures are never taken for those of other weights.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of, write_json
from deepfake_detection.common.text import figure, guessing, printable

TESTED = ".tested.json"  # the end of the file's name
METRICS = ("auroc", "accuracy", "recall", "tpr_at_fpr_1pct", "ece")  # those of the metrics files that it repeats

Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Measured(BaseModel):
    """A metric with its 95% interval over groups of videos. Each is None where it is not defined."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        """Returns common.text.figure of it, such as "0.72 [0.63, 0.79]"."""
        return "not defined" if self.value is None else figure(self.value, self.ends)

    @property
    def ends(self) -> tuple[float, float] | None:
        """The ends of the interval, if it has one."""
        return None if self.low is None or self.high is None else (self.low, self.high)


class Result(BaseModel):
    """How the network did on some of the test frames: METRICS of single frames, and of videos by their mean logits."""

    model_config = ConfigDict(strict=True, frozen=True)

    name: str
    trained_on: bool
    frames: int
    videos: int
    groups: int
    frame: dict[str, Measured]
    video: dict[str, Measured]

    def guessing(self) -> str:
        """Says that the network is no better than guessing on these frames, or nothing ("")."""
        auroc = self.frame["auroc"]
        return guessing(auroc.value, auroc.ends, self.name)


class Alarms(BaseModel):
    """The share of originals that are called fake at the threshold in use, each group of people counted once.

    ``upper`` is the upper end of its one-sided 95% interval over ``groups``. ``count`` is the number of originals.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    rate: float
    upper: float
    count: int
    groups: int


class Worth(BaseModel):
    """What the likelihood ratios of frames, or of videos, are worth: see evaluation.likelihood_ratios.

    Of manipulations that it was trained on, and of others, all against the originals of the data sets trained on.
    ``cllr`` is 1 for ratios that say nothing, and ``cllr_min`` the least that any calibration of the scores could have.
    ``tippett`` has points of a Tippett plot: a log10 ratio, and the shares of the originals, of the fakes seen and of
    those unseen whose ratio is at least that; None where there are no fakes of the kind.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    false_alarms: Alarms | None
    cllr_seen: float | None
    cllr_min_seen: float | None
    cllr_unseen: float | None
    cllr_min_unseen: float | None
    tippett: list[tuple[float, float, float | None, float | None]]


class Condition(BaseModel):
    """The results on test frames in a band of a condition: at least ``low`` and below ``high``, None without an end.

    See evaluation.conditions for the names. ``false_alarms`` and ``upper`` are as in Alarms; ``groups`` are those of
    the originals.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    name: str
    low: float
    high: float | None
    frames: int
    groups: int
    auroc: float | None
    cllr: float | None
    false_alarms: float | None
    upper: float | None


class Tested(BaseModel):
    """The results of a checkpoint, whose file and sidecar have these SHA-256.

    ``test`` is of the manipulations that it was trained on. ``manipulations`` has a result for each, against the
    originals; ``datasets`` one for each data set, with those manipulations that it was trained on if there are any.
    ``leaked_groups`` counts the groups of people that are in both training and test frames. ``drawn`` is true if it was
    trained on drawn faces, which no figure here extends to photographs. ``frame`` and ``video`` say what likelihood
    ratios are worth, and ``conditions`` where verdicts were tested; files of earlier versions have neither.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    checkpoint_sha256: Digest
    sidecar_sha256: Digest
    drawn: bool
    trained_frames: int
    leaked_groups: int
    test: Result
    manipulations: list[Result]
    datasets: list[Result]
    corruption_drop: Measured
    frame: Worth | None = None
    video: Worth | None = None
    conditions: list[Condition] = []

    def unseen(self) -> list[Result]:
        """The results on manipulations that it was not trained on."""
        return [result for result in self.manipulations if not result.trained_on]


def results_file(checkpoint: Path) -> Path:
    """The file beside a checkpoint that holds its Tested."""
    return checkpoint.with_suffix(TESTED)


def summarised(
    checkpoint: Path,
    drawn: bool,
    split: dict[str, Any],
    test: dict[str, Any],
    robustness: dict[str, Any],
) -> Tested:
    """The results of a checkpoint, which is read for its SHA-256, from the parsed files in ``metrics/``.

    ``test`` is details.json. ``robustness`` is robustness.json with the ``intervals`` of its AUROCs and its
    ``conditions``.
    """
    return Tested(
        checkpoint_sha256=sha256_of(checkpoint),
        sidecar_sha256=sha256_of(checkpoint.with_suffix(".json")),
        drawn=drawn,
        trained_frames=split["train"]["frames"],
        leaked_groups=split["leaked_groups"],
        test=_result(
            "the test set",
            trained_on=True,
            frames=_frames(test["confusion_matrix"]),
            videos=_frames(test["video"]["confusion_matrix"]),
            blocks=(test, test["video"]),
        ),
        manipulations=[
            _result(
                name,
                found["seen"],
                found["frames"],
                found["videos"],
                (found["frame"] | {name: found[name] for name in ("intervals", "groups")}, found["video"]),
            )
            for name, found in test["categories"].items()
        ],
        datasets=[
            _result(
                name,
                found["use"] == "train",
                found["frames"],
                found["videos"],
                (found["frame"], found["video"]),
            )
            for name, found in test["datasets"].items()
        ],
        corruption_drop=_measured(robustness, "mean_auroc_drop"),
        frame=_worth(test["evidence"], "frame"),
        video=_worth(test["evidence"], "video"),
        conditions=[Condition(**each) for each in test["evidence"]["conditions"] + robustness["conditions"]],
    )


def write_tested(path: Path, tested: Tested) -> None:
    """Writes the file beside a checkpoint."""
    write_json(path, tested.model_dump())


def read_tested(checkpoint: Path) -> Tested | None:
    """What ``write_tested`` wrote beside a checkpoint, or None if nothing is there.

    Raises UserError if the file holds something else, or the results of other weights or of another sidecar.
    """
    path = results_file(checkpoint)
    try:
        tested = Tested.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(map(str, problem["loc"])) or "the whole file"
        words = printable(f"{key}: {problem['msg']}", " ")
        raise UserError(f"{path}: not the test results of a checkpoint ({words}); run `dvc repro report`") from None
    for file, known in (
        (checkpoint, tested.checkpoint_sha256),
        (checkpoint.with_suffix(".json"), tested.sidecar_sha256),
    ):
        if sha256_of(file) != known:
            raise UserError(
                f"{path}: the test results of another {file.name}, by its SHA-256; run `dvc repro report`, "
                "copy the file that belongs to it, or remove this one"
            )
    return tested


def _result(
    name: str, trained_on: bool, frames: int, videos: int, blocks: tuple[dict[str, Any], dict[str, Any]]
) -> Result:
    frame, video = ({metric: _measured(block, metric) for metric in METRICS if metric in block} for block in blocks)
    return Result(
        name=name,
        trained_on=trained_on,
        frames=frames,
        videos=videos,
        groups=blocks[0]["groups"],
        frame=frame,
        video=video,
    )


def _measured(block: dict[str, Any], metric: str) -> Measured:
    low, high = block.get("intervals", {}).get(metric) or (None, None)
    return Measured(value=block[metric], low=low, high=high)


def _worth(evidence: dict[str, Any], level: str) -> Worth:
    seen, unseen = evidence[level]["seen"], evidence[level]["unseen"]
    return Worth(
        false_alarms=Alarms(**seen["false_alarms"], **seen["originals"]) if seen["originals"]["count"] else None,
        cllr_seen=seen["cllr"],
        cllr_min_seen=seen["cllr_min"],
        cllr_unseen=unseen["cllr"],
        cllr_min_unseen=unseen["cllr_min"],
        tippett=[tuple(point.values()) for point in evidence[level]["tippett"]],
    )


def _frames(matrix: dict[str, int]) -> int:
    return sum(matrix.values())
