"""Judges pictures and videos with a trained network. They need no preparation."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
import torch
from PIL import Image

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.parallel import cpu_count
from deepfake_detection.index.tracks import NO_FACE
from deepfake_detection.inference.adabn import with_statistics_of
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.familiarity import Familiarity
from deepfake_detection.inference.logits import find_device, on_device
from deepfake_detection.network.model import Network
from deepfake_detection.network.sidecar import UNCALIBRATED, Calibration, Sidecar, sigmoid
from deepfake_detection.pictures.crops import crop_face
from deepfake_detection.pictures.faces import DetectedFace, detect_faces, is_turned
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.pictures.kinds import is_video
from deepfake_detection.serving.ahead import in_one_thread, in_threads
from deepfake_detection.serving.authors_reading import authors_of, counting
from deepfake_detection.serving.given import (
    ManyPixels,
    OnePixels,
    Picture,
    Pixels,
    face_in_file,
    is_one,
    names_video,
    read_given,
    several,
)
from deepfake_detection.serving.likelihood import worthless
from deepfake_detection.serving.people import KeptFrames
from deepfake_detection.serving.results import (
    Face,
    Prediction,
    Score,
    Verdict,
    VideoPrediction,
    face_of,
    gravest,
)

BATCH = 16  # frames in one pass of the network
FRAMES_TO_ADAPT = 8  # of a video, whose frames are much alike
TURNED = "the face is not upright: turn the picture, and judge it again"
MIN_SIDE = 32  # pixels; a picture or face with a shorter side below this shows too little


class Detector:
    """Judges pictures and videos. Several threads may use one detector at the same time.

    A process that is forked afterwards may not, unless torch has one thread there: it raises UserError.

    ``network`` is in evaluation mode. ``sidecar`` is the checked content of the JSON file beside the checkpoint.
    ``backend`` says what computes the logits: ``torch`` is the network itself. backend_for explains the others.
    ``device`` is torch's name of where that is, such as ``cpu`` or ``cuda:1``; without it the accelerator is taken, if
    there is one. Only ``torch`` can be told a device that it would not take by itself. Without ``familiarity`` no
    picture is unfamiliar. ``authors`` is how those read a network who trained it, if it is not calibrated here.
    ``name`` is the checkpoint's. Raises UserError if the machine has no such device.
    """

    def __init__(
        self,
        network: Network,
        sidecar: Sidecar,
        backend: str = "torch",
        device: str | None = None,
        familiarity: Familiarity | None = None,
        name: str = "",
    ) -> None:
        self.network, self.sidecar, self.name, self._familiarity = network, sidecar, name, familiarity
        self.authors = authors_of(sidecar)
        self.size: int = sidecar.size
        self.device = find_device(device)
        if device and backend != "torch":
            own = "cpu" if backend.startswith("openvino") else find_device().type
            if self.device.type != own or self.device.index:
                raise UserError(f"device {device}: backend {backend} does not run there; take backend torch")
        self._predict, self._lock = on_device(network, device=self.device), threading.Lock()
        if backend != "torch":
            from deepfake_detection.inference.backends import backend_for  # ``torch`` does not need its imports

            self._predict = backend_for(backend, network, self.size, BATCH)
        self._may_fork = self.device.type == "cpu" and backend.startswith("torch")
        _require_threads(self._may_fork)

    @classmethod
    def load(
        cls,
        checkpoint: str | Path,
        backend: str = "torch",
        device: str | None = None,
        threshold: float | str | None = None,
    ) -> "Detector":
        """The detector for a checkpoint that the pipeline wrote, with the JSON file beside it.

        ``threshold`` replaces the checkpoint's own: a number, or a Rule's name for which the checkpoint has a
        threshold. Raises UserError if either file is missing or wrong, if ``backend`` or
        ``device`` is not on this machine, or if the checkpoint does not have the rule.
        """
        _require_threads()
        find_device(device)  # before the seconds that loading takes
        network, sidecar, familiarity = load_checkpoint(Path(checkpoint))
        if threshold is not None:
            sidecar = sidecar.at_threshold(threshold)
        return cls(network, sidecar, backend, device, familiarity, Path(checkpoint).name)

    def about(self, found: Prediction) -> dict[str, Any]:
        """What gave a prediction: the checkpoint's name, the threshold of the verdict, the version of this program.

        The threshold is None for a checkpoint that is not calibrated.
        """
        reading = self.sidecar.score.reading if isinstance(found, VideoPrediction) else self.sidecar.frame
        threshold = reading.threshold if self.sidecar.calibrated else None
        return {"model": self.name, "threshold": threshold, "version": version("deepfake-detection")}

    # Both fit a str, and an array whose type does not say its dimensions. A type checker then takes the first.
    @overload
    def predict(  # type: ignore[overload-overlap]
        self,
        pictures: str | os.PathLike[str] | Image.Image | OnePixels,
        batch_size: int = ...,
        frames: int | None = ...,
    ) -> Prediction: ...
    @overload
    def predict(
        self, pictures: ManyPixels | Iterable[Picture], batch_size: int = ..., frames: int | None = ...
    ) -> list[Prediction]: ...
    def predict(
        self, pictures: Picture | Iterable[Picture], batch_size: int = BATCH, frames: int | None = None
    ) -> Prediction | list[Prediction]:
        """The prediction of one picture or video, or a list of predictions, in the same order, of several.

        What is one and what are several, ``stream`` says.
        """
        found = list(self.stream(pictures, batch_size, frames))
        return found[0] if is_one(pictures) else found

    def stream(
        self,
        pictures: Picture | Iterable[Picture],
        batch_size: int = BATCH,
        frames: int | None = None,
        fill: bool = False,
    ) -> Iterator[Prediction]:
        """Yields one prediction per picture or video, in the same order, as VideoPrediction for a video.

        A picture is a file's path, a PIL image or uint8 RGB of shape (height, width, 3). The EXIF orientation of a file
        or a PIL image is applied. A video's path is judged by up to ``frames`` of its frames, see Video. Several are
        any iterable of these, for example a list, a generator, a column of a pandas table, or uint8 RGB of shape
        (pictures, height, width, 3). Few are read ahead, so memory use is constant.

        The last digits of a logit depend on the size of the batch, because libraries choose other kernels. With
        ``fill`` no batch is smaller than ``batch_size``. Without it only the first one may be.

        One that cannot be judged, or is none of these, gets a prediction that says why. It never stops the others.
        Raises UserError, before the first prediction, for what is neither a picture nor an iterable of pictures.
        """
        if batch_size < 1 or (frames is not None and frames < 1):
            raise UserError(f"batch_size {batch_size}, frames {frames}: both must be 1 or more")
        _require_threads(self._may_fork)
        return self._stream(several(pictures), batch_size, frames, fill)

    def _stream(
        self, pictures: Iterable[Picture], batch_size: int, frames: int | None, fill: bool
    ) -> Iterator[Prediction]:
        for videos, group in groupby(pictures, key=names_video):
            if videos:
                for path in group:
                    yield self.video(cast(str, path), frames, batch_size)
            else:
                yield from self._pictures(group, batch_size, fill)

    def _pictures(self, pictures: Iterable[Picture], batch_size: int, fill: bool) -> Iterator[Prediction]:
        waiting, crops, scores = deque[_Read | Prediction](), list[Pixels](), deque[Score]()
        with ThreadPoolExecutor(cpu_count()) as pool:
            for found in in_threads(pool, self._read, pictures, 3 * batch_size):
                waiting.append(found)
                crops += found.crops if isinstance(found, _Read) else []
                # pictures without a face must not wait for ever behind one with a face
                while len(crops) >= batch_size or (crops and len(waiting) > 3 * batch_size):
                    scores += self.scores(crops[:batch_size], batch_size, fill=True)
                    crops, fill = crops[batch_size:], True
                yield from self._ready(waiting, scores)
        scores += self.scores(crops, batch_size, fill)
        yield from self._ready(waiting, scores)

    def _ready(self, waiting: "deque[_Read | Prediction]", scores: deque[Score]) -> Iterator[Prediction]:
        """Takes the predictions from the front of ``waiting`` for which there are scores, and these scores."""
        while waiting:
            found = waiting[0]
            if isinstance(found, _Read):
                if len(found.crops) > len(scores):
                    return
                found = self._to_prediction(found, iter([scores.popleft() for _ in found.crops]))
            waiting.popleft()
            yield found

    def crops(
        self, pictures: Picture | Iterable[Picture], refused: Callable[[Prediction], object] = bool
    ) -> Iterator[Pixels]:
        """Yields what the network sees, uint8 of shape (size, size, 3). ``refused`` gets the pictures without any."""
        with ThreadPoolExecutor(cpu_count()) as pool:
            for found in in_threads(pool, self._read, several(pictures), 3 * BATCH):
                if isinstance(found, Prediction):
                    refused(found)
                else:
                    yield from found.crops

    def adapted_to(
        self, files: Iterable[str], refused: Callable[[Prediction], object] = bool
    ) -> tuple["Detector", int]:
        """A detector whose batch-norm statistics are those of pictures and videos, and the number of frames in them.

        See ``inference.adabn``. Each batch should be a mixture, so ``files`` should be in random order. Up to
        FRAMES_TO_ADAPT frames of a video count. Calibration, threshold and familiarity
        stay, and so does the backend torch. ``refused`` is as for ``crops``. Raises UserError if there is no frame.
        """
        crops = chain.from_iterable(self._crops_of(file, refused) for file in files)
        frames = 0

        def batches() -> Iterator[torch.Tensor]:
            nonlocal frames
            while batch := list(islice(crops, BATCH)):
                if len(batch) == BATCH or not frames:  # a short last one would count as much as the others
                    frames += len(batch)
                    yield torch.from_numpy(np.stack(batch))

        with self.exclusive() as network:
            adapted = with_statistics_of(network, batches())
        return Detector(adapted, self.sidecar, "torch", str(self.device), self._familiarity, self.name), frames

    def _crops_of(self, file: str, refused: Callable[[Prediction], object]) -> Iterator[Pixels]:
        if not is_video(file):
            yield from self.crops([file], refused)
            return
        from deepfake_detection.videos.video import Video

        try:
            for frame in in_one_thread(Video(Path(file), FRAMES_TO_ADAPT).frames()):
                if self.sidecar.crop == "none":
                    yield self.crop(frame.pixels, None)
                else:
                    yield from (self.crop(frame.pixels, face) for face in large_enough(detect_faces(frame.pixels)))
        except UnreadableImageError as error:
            refused(VideoPrediction(file, "none", reason=str(error), failed=True))

    def video(
        self,
        path: str | os.PathLike[str],
        frames: int | None = None,
        batch_size: int = BATCH,
        kept: KeptFrames | None = None,
    ) -> VideoPrediction:
        """The prediction from up to ``frames`` evenly spaced frames, or without it as many as Video takes.

        The video is decoded once, in a thread of its own that stays a few frames ahead. ``kept`` gets the
        frames, by the seconds of the moments. A checkpoint that is not calibrated takes as many frames as its authors
        do, from the first to the last.
        """
        from deepfake_detection.serving.judge_video import judge_video  # loads PyAV

        _require_threads(self._may_fork)
        return judge_video(self, path, frames, batch_size, kept)

    def logits(self, crops: list[Pixels], batch_size: int = BATCH) -> list[float]:
        """The logits of crops that have the network's input size, each uint8 of shape (size, size, 3)."""
        _require_threads(self._may_fork)
        found: list[float] = []
        for start in range(0, len(crops), batch_size):
            batch = torch.from_numpy(np.stack(crops[start : start + batch_size]))
            with self._lock:  # one batch already uses all processors
                found += self._predict(batch).tolist()
        return found

    def scores(self, crops: Iterable[Pixels], batch_size: int, fill: bool = False) -> list[Score]:
        """The score of each crop. Only one batch of crops is in memory, if ``crops`` makes them one by one.

        With ``fill`` a last batch of fewer crops is filled up with copies.
        """
        waiting, found = iter(crops), list[Score]()
        while batch := list(islice(waiting, batch_size)):
            there = len(batch)
            batch += batch[-1:] * (batch_size - there) * fill
            known: list[float | None] = [None] * len(batch)
            if self._familiarity is not None:
                with torch.inference_mode():
                    known = self._familiarity(torch.from_numpy(np.stack(batch))).tolist()
            found += islice(map(Score, self.logits(batch, batch_size), known), there)
        return found

    @contextmanager
    def exclusive(self) -> Iterator[Network]:
        """Gives the network. Other threads cannot predict until the block ends, so the block may set hooks on it."""
        _require_threads(self._may_fork)
        with self._lock:
            yield self.network

    def _read(self, picture: Picture) -> "_Read | Prediction":
        path = str(picture) if isinstance(picture, str | os.PathLike) else ""
        try:
            read = read_given(picture)
        except UnreadableImageError as error:
            return Prediction(path, "none", reason=str(error), failed=True)
        pixels = read.pixels
        if min(read.width, read.height) < MIN_SIDE:
            return Prediction(path, "none", reason=f"too small: {read.width} x {read.height} pixels")
        if self.sidecar.crop == "none":
            return _Read(path, [None], [self.crop(pixels, None)])
        found = detect_faces(pixels)
        if is_turned(pixels, found):
            return Prediction(path, "none", reason=TURNED)
        faces = large_enough(found)
        if not faces:
            return Prediction(path, "none", reason=f"face too small, less than {MIN_SIDE} pixels" if found else NO_FACE)
        if self.authors:
            faces = counting(faces, self.authors, video=False)
        return _Read(path, [face_in_file(face, read) for face in faces], [self.crop(pixels, face) for face in faces])

    def crop(self, pixels: Pixels, face: DetectedFace | None, size: int | None = None) -> Pixels:
        """What the network sees of a face, or of a whole picture, uint8 of shape (size, size, 3).

        ``size`` is the network's unless another one is given.
        """
        return crop_face(pixels, face, self.sidecar.crop, self.sidecar.margin, size or self.size)

    def _to_prediction(self, read: "_Read", scores: Iterator[Score]) -> Prediction:
        faces = tuple(self.to_face(face, next(scores), len(read.faces)) for face in read.faces)
        worst = gravest(faces)[0]
        return Prediction(
            read.path,
            worst.verdict,
            worst.probability,
            worst.logit,
            worst.unfamiliarity,
            faces,
            reason_for(worst.verdict, worst.unfamiliarity, self.sidecar.frame),
            authors_score=sigmoid(worst.logit) if self.authors else None,
            evidence=worst.evidence,
        )

    def to_face(self, face: DetectedFace | None, score: Score, looks: int) -> Face:
        return face_of(face, score, None if self.authors else self.sidecar.frame, self.sidecar.prior, looks)


def reason_for(verdict: Verdict, unfamiliarity: float | None, calibration: Calibration) -> str:
    """Why a verdict is "unfamiliar" or "uncalibrated", or why any other is worth nothing; or nothing."""
    if verdict == "unfamiliar":
        return f"unlike the training frames, {unfamiliarity:.1f} times the limit"
    return UNCALIBRATED if verdict == "uncalibrated" else "" if verdict == "uncertain" else worthless(calibration)


@cache
def _first_process() -> int:
    """The process in which a detector was loaded first: torch's threads, if it has several, are there."""
    return os.getpid()


def _require_threads(may_fork: bool = True) -> None:
    """Raises UserError in a fork, which has no threads of its parent's but waits for them for ever.

    With ``may_fork`` one that computes in a single thread is all right.
    """
    if _first_process() != os.getpid() and not (may_fork and torch.get_num_threads() == 1):
        raise UserError(
            "this process was forked after a detector was loaded, and a fork has none of the threads that compute: "
            "load the first detector after the fork (gunicorn without --preload, multiprocessing with spawn)"
        )


@dataclass(frozen=True)
class _Read:
    path: str
    faces: list[DetectedFace | None]  # in the pixels of the file
    crops: list[Pixels]


def large_enough(faces: list[DetectedFace]) -> list[DetectedFace]:
    """The faces whose shorter side has MIN_SIDE pixels."""
    return [face for face in faces if min(face.box.right - face.box.left, face.box.bottom - face.box.top) >= MIN_SIDE]
