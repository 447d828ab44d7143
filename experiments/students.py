"""How large and fast a student is, and how often it agrees with its teacher: in torch, ONNX and OpenVINO with 8 bits.

``python -m experiments.students STUDY METHOD [TEACHER]`` takes the network of the study's first seed and writes it as a
checkpoint with its JSON file. ``TEACHER`` is another such checkpoint; without it that is all.

Agreement is the share of the test frames on which both give the same verdict, each at a probability of 0.5 after its
own calibration. Times are of one frame at a time on one core. 8 bits are calibrated on pictures of the training split.
"""

import time
from argparse import ArgumentParser
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import onnxruntime
import openvino
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from deepfake_detection.common.files import write_json
from deepfake_detection.evaluation.calibration import calibrate
from deepfake_detection.frames.dataset import FrameDataset
from deepfake_detection.frames.prepared import Pixels
from deepfake_detection.inference.checkpoint import load_checkpoint
from deepfake_detection.inference.logits import on_device, predict_logits
from deepfake_detection.network.model import build_model, described
from deepfake_detection.network.sidecar import Sidecar, categories_of
from deepfake_detection.network.weights import save_weights
from deepfake_detection.params.data_sections import folders_of
from deepfake_detection.params.load import load_params
from deepfake_detection.serving.export import export
from deepfake_detection.videos.footage import file_of, read_pixels
from experiments.study import RESULTS, frames_of, method_of, network_file, open_trained, read_study
from stages import run

Probabilities = Callable[[NDArray[np.uint8]], NDArray[np.float64]]
PICTURES, ROUNDS, BATCH = 40, 50, 16


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("method")
    parser.add_argument("teacher", type=Path, nargs="?")
    options = parser.parse_args()
    torch.set_num_threads(1)
    study, params = read_study(options.study), load_params()
    seed = study.seeds[0]
    pixels, rows = open_trained()
    frames = frames_of(pixels, rows[rows["split"] == "test"])
    arch = method_of(study, options.method, params, seed).params.model.arch
    folder = RESULTS / options.study / options.method / "student"
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"{arch}.pth"
    save_student(checkpoint, arch, network_file(options.study, options.method, seed), pixels, rows)
    print(checkpoint)
    if options.teacher is None:
        return
    taught = probabilities(load_student(options.teacher), frames) >= 0.5
    train = rows[rows["split"] == "train"].sample(PICTURES, random_state=seed)
    pictures = written(train["path"].tolist(), folder / "pictures")
    onnx, int8 = folder / "student.onnx", folder / "student-int8.xml"
    export(checkpoint, "onnx", onnx)
    export(checkpoint, "openvino", int8, pictures)
    forms = {
        "teacher, torch": (load_student(options.teacher), [options.teacher]),
        "torch": (load_student(checkpoint), [checkpoint]),
        "ONNX": (load_onnx(onnx), [onnx]),
        "OpenVINO, 8 bits": (load_openvino(int8), [int8, int8.with_suffix(".bin")]),
    }
    found = {
        name: {
            "MB": round(sum(path.stat().st_size for path in files) / 1e6, 1),
            "ms a frame": round(1000 * seconds_a_frame(predict, frames[:1]), 1),
            "agreement": round(float(((probabilities(predict, frames) >= 0.5) == taught).mean()), 3),
        }
        for name, (predict, files) in forms.items()
    }
    write_json(folder / "student.json", found)
    print(pd.DataFrame(found).T.to_string())


def written(paths: list[str], to: Path) -> list[str]:
    """Frames as files, in the same order: those of videos are none yet."""
    to.mkdir(exist_ok=True)
    names = {path: str(to / f"{number:04d}.png") for number, path in enumerate(paths)}
    for _, rows in groupby(sorted(paths, key=file_of), file_of):
        for path, pixels in read_pixels(Path("data/raw"), folders_of(load_params().datasets), list(rows)):
            Image.fromarray(pixels).save(names[path])
    return list(names.values())


def save_student(checkpoint: Path, arch: str, weights: Path, pixels: Pixels, rows: pd.DataFrame) -> None:
    """Writes a checkpoint and its sidecar, calibrated on the validation frames, without familiarity."""
    network = build_model(arch, 0.0, weights, trained=True).eval()
    val = rows[rows["split"] == "val"]
    logits = predict_logits(network, FrameDataset(pixels, val), BATCH)
    calibration = calibrate(logits, val["label"].to_numpy(), 0.5, 0.5)
    sidecar = Sidecar(
        **described(network, arch),
        input_size=[pixels.shape[1]] * 2,
        categories=categories_of(rows),
        frame=calibration,
        video=calibration,
    )
    save_weights(checkpoint, network.efficientnet, network.variant)
    write_json(checkpoint.with_suffix(".json"), sidecar.model_dump())


def load_student(checkpoint: Path) -> Probabilities:
    network, sidecar, _ = load_checkpoint(checkpoint)
    predict = on_device(network, device=torch.device("cpu"))
    return lambda frames: sidecar.frame.probability(predict(torch.from_numpy(frames)).double().numpy())


def load_onnx(path: Path) -> Probabilities:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda frames: session.run(["probability"], {"frames": frames})[0]


def load_openvino(path: Path) -> Probabilities:
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"})
    return lambda frames: compiled(frames)["probability"]


def probabilities(predict: Probabilities, frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.concatenate([predict(part) for part in np.array_split(frames, max(1, len(frames) // BATCH))])


def seconds_a_frame(predict: Probabilities, frame: NDArray[np.uint8]) -> float:
    """The median time of a frame."""
    predict(frame)
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        predict(frame)
        times.append(time.perf_counter() - start)
    return float(np.median(times))


if __name__ == "__main__":
    run(main)
