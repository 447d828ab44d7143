"""The JSON file beside a checkpoint that says how to use it."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepfake_detection.common.crop_rule import CROP_WORDS, CropRule
from deepfake_detection.common.errors import UserError
from deepfake_detection.common.rules import Rule
from deepfake_detection.common.text import printable
from deepfake_detection.network.variant import OURS, Variant
from deepfake_detection.params.section import Count, Fraction, Name
from deepfake_detection.params.train_sections import Model

if TYPE_CHECKING:
    import pandas as pd

Logits = TypeVar("Logits", bound=Any)  # a number, or an array of them
Positive = Annotated[float, Field(gt=0)]
RuleName = Annotated[str, AfterValidator(lambda name: str(Rule.parse(name).value))]
FAMILIARITY = ".familiarity.safetensors"  # the end of the name of a third file, see inference.familiarity
THREE = Field(min_length=3, max_length=3)
UNCALIBRATED = "not calibrated here: the score is the authors', no probability"
MOST_PEOPLE = 2000  # digests, 38 kB of JSON


def sigmoid(logit: float) -> float:
    """The probability of a logit: of one number the bits of scipy's expit, without loading scipy."""
    try:
        return 1 / (1 + math.exp(-logit))
    except OverflowError:
        return 0.0


class Evidence(BaseModel):
    """What bounds the likelihood ratio of a score: see inference.evidence.

    ``lower`` and ``upper`` are the least and the greatest log10 that the calibration groups can show. ``spread`` is the
    covariance over groups of slope and bias of the natural log odds: variance of the slope, covariance, variance of the
    bias. ``originals`` and ``fakes`` are numbers of independent groups. ``cllr`` is the cost of the ratios on groups
    that they were not fitted on, 1 for ratios that say nothing, and ``cllr_min`` the least that any calibration of the
    same scores could have.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    lower: Annotated[float, Field(le=0)]
    upper: Annotated[float, Field(ge=0)]
    spread: Annotated[list[float], THREE]
    originals: Annotated[int, Field(ge=0)]
    fakes: Annotated[int, Field(ge=0)]
    cllr: Annotated[float, Field(ge=0)]
    cllr_min: Annotated[float, Field(ge=0)]


class Calibration(BaseModel):
    """How to read the logit of a frame, or the mean logit of a video's frames, fitted on validation data.

    The calibrated probability of a fake is sigmoid(logit / temperature + bias); from ``threshold`` on the verdict is
    fake. ``thresholds`` holds the threshold by each rule, ``unavailable`` the rules that cannot be kept, with reasons.
    ``groups`` is how many independent groups of originals show the rates among them; 0 if that is not known.
    ``evidence`` is None where no likelihood ratio can be given.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    temperature: Positive = 1.0
    bias: float = 0.0
    threshold: Fraction = 0.5
    thresholds: dict[RuleName, Fraction] = {}
    unavailable: dict[RuleName, str] = {}
    groups: Annotated[int, Field(ge=0)] = 0
    evidence: Evidence | None = None

    def log_odds(self, logit: Logits) -> Logits:
        """The calibrated log odds of a fake, of the shape of ``logit``."""
        calibrated: Logits = logit / self.temperature + self.bias
        return calibrated

    def probability(self, logit: Logits) -> Logits:
        """The calibrated probability of a fake, of the shape of ``logit``."""
        log_odds = self.log_odds(logit)
        if isinstance(log_odds, float):
            return cast(Logits, sigmoid(log_odds))
        from scipy.special import expit  # takes a tenth of a start, and one picture has no array

        calibrated: Logits = expit(log_odds)
        return calibrated

    def at(self, rule: float | str) -> float:
        """The threshold by ``rule``: a number, or a rule of ``thresholds``. Raises UserError for another rule."""
        try:
            rule = Rule.parse(rule).value
        except ValueError as error:
            raise UserError(f"threshold {error}") from None
        if isinstance(rule, float):
            return rule
        if rule not in self.thresholds:
            known = f"the checkpoint has {', '.join(self.thresholds) or 'none'}"
            why = self.unavailable.get(rule, "set calibrate.threshold and run dvc repro")
            raise UserError(f"threshold {rule} is not there: {known}; {printable(why)}")
        return self.thresholds[rule]


class VideoScore(BaseModel):
    """How to read a whole video, person by person: see inference.video_score.

    ``weights`` are those of video_score.FEATURES; without them the odds of all windows count, read by ``window``.
    ``reading`` turns the score into a probability, and has the threshold. ``originals`` and ``fakes`` are how many
    validation videos all this rests on.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    weights: Annotated[list[float], Field(min_length=5, max_length=5)] | None = None
    window: Calibration = Calibration()
    reading: Calibration = Calibration()
    originals: Annotated[int, Field(ge=0)] = 0
    fakes: Annotated[int, Field(ge=0)] = 0


class Where(BaseModel):
    """How well the network says where a frame was changed: see evaluation.localisation.

    Measured on ``frames`` of the validation, ``of`` which the masks are known: fakes, or blends of originals with
    themselves. ``auroc`` is over all places of their maps. ``iou`` is the mean intersection over union at
    ``threshold``, at which it is greatest, and ``blind_iou`` that of the best map that is the same for every frame.
    ``hits`` is the share of frames whose brightest place was changed (the pointing game, Zhang et al. 2018, "Top-down
    Neural Attention by Excitation Backprop"), and ``blind_hits`` what one and the same place reaches at best.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    of: Literal["fakes", "blends"]
    frames: Count
    auroc: Fraction
    threshold: Fraction
    iou: Fraction
    blind_iou: Fraction
    hits: Fraction
    blind_hits: Fraction


class Categories(BaseModel):
    """The categories that the network was trained on: ``real`` with label 0 and ``fake`` with label 1."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    real: Annotated[list[Name], Field(min_length=1)]
    fake: Annotated[list[Name], Field(min_length=1)]


class Imported(BaseModel):
    """Where a checkpoint of others came from, and how its authors read it: see importing.recipes.

    ``files`` are the SHA-256 sums of what was imported. ``faces`` says which faces of a frame count, ``frames`` how the
    scores of ``video_frames`` frames are put together: see serving.authors_reading.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    recipe: str
    licence: str
    files: list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]]
    faces: Literal["each", "large", "first"] = "each"
    frames: Literal["mean", "mean_logit", "confident"] = "mean"
    video_frames: Count = 32


class Sidecar(BaseModel):
    """What a frame must look like for the network, and how to read the logits of frames and of videos.

    Files from other sources are checked as strictly as our own: ``arch`` is one that ``build_model`` knows, numbers are
    finite, and thresholds are between 0 and 1. ``mean`` and ``std`` are for other programs, because the network here
    normalises its input itself.
    """

    model_config = Calibration.model_config

    arch: Annotated[str, *Model.model_fields["arch"].metadata]
    input_size: Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(min_length=2, max_length=2)]
    channels: Literal["RGB"] = "RGB"
    mean: Annotated[list[float], THREE]
    std: Annotated[list[Positive], THREE]
    crop: CropRule = "none"
    margin: Annotated[float, Field(ge=0)] = 0.0
    resize: str = Field(default_factory=lambda values: CROP_WORDS[values.get("crop", "none")])
    output: str = "one logit; sigmoid(logit / temperature + bias) is the calibrated probability of a fake"
    categories: Categories
    # digests of the frames that it was trained on, see index.shared: to know their people again in another test
    people: list[Annotated[str, Field(pattern="^[0-9a-f]{16}$")]] = []
    parameters: Count
    prior: Annotated[float, Field(gt=0, lt=1)] = 0.5
    threshold_rule: float | str = 0.5
    # the share of frames of new groups that are familiar, see inference.familiarity; None if every frame is judged
    familiarity: Annotated[float, Field(gt=0, lt=1)] | None = None
    frame: Calibration = Calibration()
    video: Calibration = Calibration()
    score: VideoScore = VideoScore()
    where: Where | None = None  # None if it does not say where a frame was changed
    network: Variant = OURS
    imported: Imported | None = None
    calibrated: bool = True  # else the logits are its authors', and nothing here says what they are worth

    @model_validator(mode="before")
    @classmethod
    def _read_earlier(cls, values: Any) -> Any:
        """Sidecars of earlier versions have the calibration of frames among their own keys, and the first no other."""
        if not isinstance(values, dict):
            return values
        frame = {name: values[name] for name in Calibration.model_fields if name in values}
        values = {"frame": frame} | {name: value for name, value in values.items() if name not in frame}
        values = {"video": values["frame"]} | values
        video = values["video"]
        video = video.model_dump() if isinstance(video, Calibration) else video
        if "score" not in values and isinstance(video, dict):
            read = {name: value for name, value in video.items() if name not in ("temperature", "bias")}
            values = values | {"score": {"window": video, "reading": read}}
        return values

    def at_threshold(self, rule: float | str) -> "Sidecar":
        """The same with another threshold, for frames and for videos.

        Raises UserError as ``at`` does, and if it is not calibrated, because its scores then have no threshold.
        """
        if not self.calibrated:
            raise UserError(f"threshold {rule}: {UNCALIBRATED}, so no threshold holds for it")
        each = (self.frame, self.video, self.score.reading)
        frame, video, reading = (one.model_copy(update={"threshold": one.at(rule)}) for one in each)
        score = self.score.model_copy(update={"reading": reading})
        return self.model_copy(update={"frame": frame, "video": video, "score": score, "threshold_rule": rule})

    @property
    def size(self) -> int:
        """Width and height of the network's input, in pixels."""
        return self.input_size[0]

    @property
    def prepared(self) -> dict[str, str | float]:
        """The parameters that frames are prepared with for this network, by their keys."""
        margin = {"prepare.margin": self.margin} if self.crop != "none" else {}
        return {"prepare.crop": self.crop, **margin, "prepare.image_size": self.size}


def origin_of(checkpoint: str) -> Imported | None:
    """Where a checkpoint of others came from; None if it is ours. Raises UserError as ``read_sidecar`` does."""
    return read_sidecar(Path(checkpoint).with_suffix(".json")).imported


def adopting(sidecar: Sidecar) -> str:
    """What `dvc exp run` needs besides profile=adopt, model.weights and data sets to take a network as it is."""
    return " ".join(f"-S {key}={value}" for key, value in ({"model.arch": sidecar.arch} | sidecar.prepared).items())


def categories_of(rows: "pd.DataFrame") -> Categories:
    """The categories in ``rows`` of an index: ``real`` are those labelled 0, ``fake`` those labelled 1."""
    real, fake = (sorted(rows.loc[rows["label"] == label, "category"].unique()) for label in (0, 1))
    return Categories(real=real, fake=fake)


def people_of(digests: "pd.Series") -> list[str]:
    """What ``Sidecar.people`` keeps of the digests of all frames: the first MOST_PEOPLE of them, in order.

    As they are hashes, these are a random sample, and the same frames give the same sample.
    """
    return sorted(set(digests))[:MOST_PEOPLE]


def fitted_lines(sidecar: Sidecar) -> list[str]:
    """What was fitted, a line each: how frames are read, what is not there, and how well changes are found."""
    frame, where = sidecar.frame, sidecar.where
    lines = [f"threshold {frame.threshold:.4f}, temperature {frame.temperature:.4f}, bias {frame.bias:.4f}"]
    lines += [f"threshold {name} is left out: {reason}" for name, reason in frame.unavailable.items()]
    if where:
        measured = where.model_dump(exclude={"of", "frames"}).items()
        told = ", ".join(f"{name} {value:.4g}" for name, value in measured)
        lines.append(f"where, on {where.frames} {where.of}: {told}")
    return lines


def read_sidecar(path: Path) -> Sidecar:
    """Reads and checks the sidecar of a checkpoint, and fills in defaults.

    Raises UserError when the file is missing or has invalid content; the message is one line that names the key.
    """
    try:
        return Sidecar.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{path}: not there; `dvc repro calibrate` writes it beside the checkpoint, and weights of another program "
            "are to start training from (model.weights)"
        ) from None
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
        key = ".".join(map(str, problem["loc"])) or "the whole file"
        words = printable(f"{key}: {problem['msg']}", " ")
        raise UserError(f"{path}: not the sidecar of a checkpoint ({words}); run `dvc repro calibrate`") from None
