"""Shows where in a picture the network finds evidence for a fake, with heat maps from HiResCAM.

Draelos and Carin 2020, "Use HiResCAM instead of Grad-CAM for faithful explanations of convolutional neural networks".
The map is of an early stage, where a place is PLACE pixels wide. Grad-CAM on the last stage, which is usual, lay beside
the altered pixels on the drawn data: docs/concepts/heat-maps.md compares the two and others.

If the network has learnt to say where a frame was changed (``train.localise``), better than one map for all frames, its
map is shown instead.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.text import clock, percent
from deepfake_detection.network.layers import Members
from deepfake_detection.network.sidecar import Where
from deepfake_detection.pictures.crops import square_within
from deepfake_detection.pictures.faces import DetectedFace
from deepfake_detection.pictures.images import UnreadableImageError, read_picture
from deepfake_detection.pictures.kinds import is_video
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.labels import Rect, place_labels
from deepfake_detection.serving.people import KeptFrames
from deepfake_detection.serving.results import Face, Prediction
from deepfake_detection.serving.words import face_words, frames_above, reading_of, shortened, where_words, wording

if TYPE_CHECKING:
    from deepfake_detection.network.vision import EfficientNet

Pixels: TypeAlias = NDArray[np.uint8]
Evidence: TypeAlias = NDArray[np.float32]

PLACE = 8  # pixels of the network's input, the width of a place of the map
SHOWN = 4  # faces of a picture, or frames of a video
COLOURS = matplotlib.colormaps["plasma"]  # perceptually uniform, from blue through red to yellow
OPACITY = 0.6  # opacity of the colours over the picture
FAINT = 0.25  # of the greatest evidence; of less, the colours fade
MIN_GREY = 0.35  # brightness of the picture's black, so that a dark face does not darken the colours
# The brightest colour means at least this much evidence, so that maps do not exaggerate unimportant differences.
MIN_TOP = 0.1
LARGEST = 512  # pixels, the longer side of a shown picture
LETTERS = 0.037  # of the picture's width, the height of 7 points in the figure

WORDS = (
    "{colours}\n"
    "The map has {rows} x {columns} places, and each also sees what is around it: take it as a hint.\n"
    "{file}, by {model}, on {date}"
)
OF_EVIDENCE = (
    "Colours: what a place says for a fake (HiResCAM), by the colours on the right. Grey: nothing there speaks for one."
)
OF_CHANGE = "Colours: where it looks changed, by the colours on the right. Grey: where it does not.\n"


def heat_map(detector: Detector, pixels: Pixels, face: DetectedFace | None) -> Pixels:
    """The part of a picture that the network saw, in grey, under colours that show the evidence for a fake.

    Or, with ``measured_where``, under colours that show where it looks changed: then yellow means a score of 1.

    ``pixels`` is RGB of shape (height, width, 3). ``face`` is what a Face has as ``detected``: the result shows what
    the network saw of it, or the whole picture if it is None. The result is uint8 RGB with up to LARGEST pixels a side.
    Blue means no evidence for a fake. Yellow means the most evidence in this picture, but at least MIN_TOP. So the map
    is all grey if the network found nothing.
    """
    found = _map(detector, detector.crop(pixels, face))
    return _overlay(network_view(detector, pixels, face), found, _scale_maximum(detector, [found]))


def measured_where(detector: Detector) -> Where | None:
    """How well the network says where a frame was changed; None if one map for all frames is as good."""
    where = detector.sidecar.where
    return where if where and detector.network.variant.localise and where.iou > where.blind_iou else None


def changed_places(detector: Detector, crop: Pixels) -> Evidence:
    """Where ``crop`` looks changed, as a score from 0 to 1 a place of PLACE pixels, shape (rows, columns).

    The network must have a WhereHead. ``crop`` is as for ``evidence``.
    """
    with detector.exclusive() as network, torch.inference_mode():
        device = next(network.parameters()).device
        _, places = network.located(torch.from_numpy(np.array(crop)[None]).to(device))
    found: Evidence = places[0].sigmoid().cpu().numpy()
    return found


def _map(detector: Detector, crop: Pixels) -> Evidence:
    return changed_places(detector, crop) if measured_where(detector) else evidence(detector, crop)


def evidence(detector: Detector, crop: Pixels) -> Evidence:
    """The evidence for a fake at each place, shape (rows, columns), 0 or more.

    All of it together is -log(1 - p), the log loss of the verdict "original" at the calibrated probability p: nearly 0
    for a crop that looks original, and nearly the log odds for one that looks fake. The places share it in proportion
    to their positive ``contributions``, and it is 0 if there are none. The unit is that of 1% of the picture, so the
    numbers are alike for maps of any size. ``crop`` is uint8 RGB of shape (size, size, 3) with the detector's size.
    """
    places, logit = contributions(detector, crop)
    positive = places.clip(0)
    surprise = np.logaddexp(0, logit / detector.sidecar.frame.temperature + detector.sidecar.frame.bias)
    shared: Evidence = (positive / max(float(positive.mean()), 1e-9) * surprise / 100).astype(np.float32)
    return shared


def contributions(detector: Detector, crop: Pixels) -> tuple[Evidence, float]:
    """What each place adds to the logit, to first order, and the logit: HiResCAM, of shape (rows, columns).

    It is the features' product with the logit's gradient, summed over the channels. On the last stage of an
    EfficientNet the sum over the places is exactly the logit less its bias. No hook or gradient stays in the network.
    Raises UserError for an ONNX file, which has no gradients.
    """
    detector.network.require_layers("heat map")
    with detector.exclusive() as network, _one_thread():
        if isinstance(network.efficientnet, Members):
            raise UserError(
                "several networks judge together, and a heat map shows one: import a single file to explain"
            )
        efficientnet = cast("EfficientNet", network.efficientnet)
        device = next(network.parameters()).device
        with torch.no_grad():
            frames = network.normalise(torch.from_numpy(np.array(crop)[None]).to(device))
            before, behind = _divided(efficientnet.features, frames)
        rest = nn.Sequential(behind, efficientnet.avgpool, nn.Flatten(), efficientnet.classifier)
        logit = rest(before.requires_grad_())
        (gradient,) = torch.autograd.grad(logit, before)
    return (before * gradient).sum(1)[0].detach().cpu().numpy(), logit.item()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Computes with one thread of the CPU: with two, a gradient in ten differs in its last digits, as tried."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _divided(stages: nn.Sequential, frames: Tensor) -> tuple[Tensor, nn.Sequential]:
    """What comes out of the last stage with places of up to PLACE pixels, and the stages behind it."""
    before = frames
    for number, stage in enumerate(stages):
        after = stage(before)
        if after.shape[-1] * PLACE < frames.shape[-1]:
            return before, stages[number:]
        before = after
    return before, stages[:0]


def explain(detector: Detector, path: Path, frames: int | None = None) -> Figure:
    """Judges the picture or video at ``path`` and draws the explanation.

    For a picture, the figure shows it with its faces boxed, and large for up to SHOWN faces what the network saw and
    its heat map. For a video, it shows the same for the SHOWN most suspicious frames of the person who decides, with
    their times; ``frames`` is as for Detector.video. All maps in a figure share one colour scale. File, checkpoint and
    date (UTC) stand below. Raises UserError if the file cannot be read or shows nothing to judge.
    """
    try:
        if is_video(path):
            return _video(detector, path, frames)
        pixels = read_picture(path).pixels
    except UnreadableImageError as error:
        raise UserError(f"{path}: {error}") from None
    prediction = _require_verdict(path, detector.predict([pixels])[0])
    faces = sorted(prediction.faces, key=lambda face: -face.logit)
    shown = faces[:SHOWN]
    boxed = faces[0].box is not None
    sides = [[f"crop{number}", f"map{number}"] for number in range(len(shown))]
    height, width, _ = pixels.shape
    tall = 2.5 if len(shown) == 1 else 2.0  # inches, of a face
    rows, columns = [1.0] * len(shown), [1, 1.3, 1.3]
    mosaic, wide = [["whole", *side] for side in sides], 7.6
    if width > 1.5 * height:  # beside the faces it would be small
        rows, columns = [2 * height / width, *rows], [1.0, 1.0]
        mosaic, wide = [["whole", "whole"], *sides], 2 * tall + 1.6
    figure = Figure(figsize=(wide, 1.3 + tall * sum(rows)), layout="constrained")
    axes = figure.subplot_mosaic(mosaic, width_ratios=columns, height_ratios=rows)  # type: ignore[arg-type]
    _draw_picture(axes["whole"], pixels, faces)
    axes["whole"].set_title(f"{len(faces)} face{'s' * (len(faces) > 1)}" if boxed else "the picture", fontsize=7)
    pairs = [(axes[crop], axes[map_]) for crop, map_ in sides]
    _draw_maps(detector, path, figure, [(pixels, face) for face in shown], pairs)
    if len(faces) > 1:
        for number, (face, (crop, _)) in enumerate(zip(shown, pairs, strict=True), 1):
            crop.set_title(f"face {number}: {_said_of(face)}", fontsize=7)
    _add_title(figure, detector, prediction, "the most suspicious face decides" if len(faces) > 1 else "")
    return figure


def _video(detector: Detector, path: Path, frames: int | None) -> Figure:
    with KeptFrames() as kept:
        prediction = detector.video(path, frames, kept=kept)
        _require_verdict(path, prediction)
        own = [moment for moment in prediction.moments if moment.person == 1]
        moments = sorted(own[:SHOWN], key=lambda moment: moment.seconds)
        shown = [(kept[moment.seconds], moment.face) for moment in moments]
    figure = Figure(figsize=(max(1 + 2 * len(shown), 5), 6.8), layout="constrained")
    axes = np.asarray(figure.subplots(3, len(shown), squeeze=False, height_ratios=[0.6, 1, 1]))
    for whole, moment, (pixels, face) in zip(axes[0], moments, shown, strict=True):
        _draw_picture(whole, pixels, [face])
        whole.set_title(f"at {clock(moment.seconds)}: {_said_of(face)}", fontsize=7)
    _draw_maps(detector, path, figure, shown, list(zip(axes[1], axes[2], strict=True)))
    frames_seen, _ = frames_above(prediction)
    how = [f"{frames_seen} frame{'s' * (frames_seen > 1)}"]
    if len(prediction.people) > 1:
        how[0] += f" of the most suspicious of {len(prediction.people)} people"
    if prediction.people and (stretch := prediction.people[0].stretch) and prediction.verdict != "unfamiliar":
        which = "this stretch" if prediction.verdict == "partly fake" else f"most suspicious from {stretch.times()}"
        how.append(f"{which}, {percent(stretch.probability)} by itself")
    _add_title(figure, detector, prediction, "; ".join(how))
    return figure


def _said_of(face: Face) -> str:
    if face.verdict == "unfamiliar" or face.probability is None:
        return face_words(face)
    return percent(face.probability)


def _require_verdict(path: Path, prediction: Prediction) -> Prediction:
    if prediction.verdict == "none":
        raise UserError(f"{path}: {prediction.reason}; there is nothing to explain")
    return prediction


def network_view(detector: Detector, pixels: Pixels, face: DetectedFace | None) -> Image.Image:
    """What the network saw, not resized to its input."""
    if face is not None and detector.sidecar.crop not in ("none", "face"):
        return Image.fromarray(detector.crop(pixels, face, LARGEST))
    picture = Image.fromarray(pixels)
    if face is not None:
        picture = picture.crop(square_within(face.box, detector.sidecar.margin, picture.size))
    picture.thumbnail((LARGEST, LARGEST))
    return picture


def _scale_maximum(detector: Detector, found: Sequence[Evidence]) -> float:
    return 1.0 if measured_where(detector) else max(MIN_TOP, *(float(each.max()) for each in found))


def _overlay(picture: Image.Image, found: Evidence, top: float) -> Pixels:
    smooth = Image.fromarray(found).resize(picture.size, Image.Resampling.BILINEAR)
    share = np.clip(np.asarray(smooth) / top, 0, 1)[..., None]
    opacity = OPACITY * np.minimum(1, share / FAINT)  # where nothing speaks for a fake, the picture stays grey
    grey = (
        MIN_GREY + (1 - MIN_GREY) * np.asarray(picture.convert("L"))[..., None] / 255
    )  # all colours come from the map
    mixed = opacity * COLOURS(share[..., 0])[..., :3] + (1 - opacity) * grey
    painted: Pixels = np.rint(255 * mixed).astype(np.uint8)
    return painted


def _draw_picture(axes: Axes, pixels: Pixels, faces: Sequence[Face]) -> None:
    """Draws the picture with a box around each face. Boxes have numbers if there are several faces."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((2 * LARGEST, 2 * LARGEST))
    axes.imshow(np.asarray(picture))
    axes.set_axis_off()
    scale = picture.width / pixels.shape[1]
    boxes = [
        Rect(left, top, right - left, bottom - top)
        for left, top, right, bottom in (
            [edge * scale for edge in face.box[:4]] for face in faces if face.box is not None
        )
    ]
    for box in boxes:
        for colour, width in (("black", 2.4), ("white", 1.2)):  # visible on any picture
            axes.add_patch(Rectangle(box[:2], box.width, box.height, fill=False, ec=colour, lw=width))
    if len(boxes) < 2:
        return
    numbers = [str(number) for number in range(1, len(boxes) + 1)]
    for label in place_labels(boxes, numbers, *picture.size, picture.width * LETTERS):
        axes.add_patch(Rectangle(label.place[:2], label.place.width, label.place.height, color="black", lw=0))
        middle = label.place.x + label.place.width / 2, label.place.y + label.place.height / 2
        size = 7 * label.size / (picture.width * LETTERS)
        axes.text(*middle, label.text, color="white", fontsize=size, ha="center", va="center_baseline")


def _draw_maps(
    detector: Detector,
    path: Path,
    figure: Figure,
    shown: Sequence[tuple[Pixels, Face]],
    sides: Sequence[tuple[Axes, Axes]],
) -> None:
    seen = [detector.crop(pixels, face.detected) for pixels, face in shown]
    found = [_map(detector, each) for each in seen]
    top, where = _scale_maximum(detector, found), measured_where(detector)
    for (pixels, face), crop, each, (left, right) in zip(shown, seen, found, sides, strict=True):
        left.imshow(crop)
        left.set_title("what the network saw", fontsize=7)
        right.imshow(_overlay(network_view(detector, pixels, face.detected), each, top))
        nothing = each.max() <= MIN_TOP / 5  # all grey to the eye
        title = "nothing speaks for a fake" if nothing else "what speaks for a fake"
        right.set_title("where it looks changed" if where else title, fontsize=7)
        for axes in (left, right):
            axes.set_axis_off()
    bar = ScalarMappable(Normalize(0, top), COLOURS)
    scale = figure.colorbar(
        bar, ax=figure.axes, shrink=0.8, aspect=30, panchor=False
    )  # of all axes, to keep the rows aligned
    scale.ax.tick_params(labelsize=6)
    label = "how changed a place looks, from 0 to 1" if where else "evidence for a fake in 1% of the picture"
    scale.set_label(label, fontsize=6)
    rows, columns = found[0].shape
    model = ", ".join(filter(None, [detector.name, detector.sidecar.arch]))
    today = datetime.now(UTC).date()
    colours = OF_CHANGE + where_words(where) if where else OF_EVIDENCE
    words = WORDS.format(
        colours=colours, rows=rows, columns=columns, file=shortened(path.name), model=model, date=today
    )
    figure.supxlabel(words, fontsize=6.5, x=0.01, ha="left", parse_math=False)


def _add_title(figure: Figure, detector: Detector, prediction: Prediction, how: str) -> None:
    """The verdict in words, and below it the numbers, which an unfamiliar file does not have."""
    said = wording(prediction, detector.sidecar)
    numbers = []
    if said.score:
        numbers = [f"the authors' score {said.score} out of 1"]
    elif said.percent:
        threshold = reading_of(prediction, detector.sidecar).threshold
        probability = percent(cast(float, prediction.probability))
        numbers = [f"calibrated probability of a fake {probability}, threshold {threshold:.1%}"]
    second = "; ".join(filter(None, [*numbers, how, prediction.reason]))
    # the first line is left free for the headline, whose letters are larger
    figure.suptitle(f"\n{second}", fontsize=7.5, linespacing=2, x=0.01, ha="left")
    figure.text(0.01, 0.985, said.headline, fontsize=11, fontweight="bold", va="top")
