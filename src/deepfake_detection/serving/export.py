"""Writes a trained network for other runtimes: as ONNX, OpenVINO or safetensors."""

import copy
import errno
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.progress import progress
from deepfake_detection.common.text import printable
from deepfake_detection.media.faces import crop_face
from deepfake_detection.network.checkpoint import load_checkpoint
from deepfake_detection.network.model import Network
from deepfake_detection.network.openvino import CALIBRATION_FRAMES, import_openvino, quantised
from deepfake_detection.network.sidecar import Calibration, Sidecar
from deepfake_detection.serving.detector import Detector, Prediction
from deepfake_detection.sources.drawn.dataset import film
from deepfake_detection.sources.drawn.manipulations import deepfakes

Pixels: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[np.float64]
Runner: TypeAlias = Callable[[Pixels], tuple[NDArray[Any], NDArray[Any]]]
"""Maps frames, uint8 of shape (batch, size, size, 3), to their probabilities and logits, each of shape (batch,)."""

FILES = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "safetensors": (".safetensors", ".json")}
OPSET = 18  # the oldest that torch writes, so that any runtime of recent years can read it
INPUT, OUTPUTS = "frames", ("probability", "logit")
TOLERANCE = 1e-3  # probabilities must differ from torch's by less than this
BATCHES = (1, 3, 4)  # the first batch sizes of the comparison; several, to show that none is fixed
DRAWN = 32  # drawn frames in the comparison
MIN_FACES = 20  # needed for 8 bits; half of them calibrate


@dataclass(frozen=True)
class Parity:
    """How far the written network is from torch: the largest differences, and the number of different decisions."""

    frames: int
    probability: float
    logit: float
    decisions: int


def files_of(form: str, out: Path) -> list[Path]:
    """The files that ``export`` writes. Raises UserError if ``out`` does not end in the format's suffix."""
    endings = FILES[form]
    if out.suffix != endings[0]:
        raise UserError(f"--out {out}: {form} goes into a file that ends in {endings[0]}")
    return [out.with_suffix(ending) for ending in endings]


def export(checkpoint: Path, form: str, out: Path, int8: Sequence[str] = ()) -> Parity:
    """Writes the files of ``files_of``, whole or not at all, if they give torch's probabilities when read again.

    ONNX and OpenVINO take ``frames``: uint8 RGB of shape (batch, size, size, 3), any batch size, not normalised. They
    give ``probability``, which is sigmoid(logit / temperature + bias), and ``logit``, each float32 of shape (batch,).
    safetensors holds only the weights, for ``Detector.load``. The sidecar is in the file's metadata. ONNX
    (metadata_props) and OpenVINO (rt_info, under "deepfake_detection") hold it by key, and a value that is not text
    as JSON. safetensors holds all of it as one JSON text. The files contain no paths or names from this machine.

    ``int8``, only for OpenVINO, names pictures like those that will be judged. The network then computes in 8 bits.
    Up to CALIBRATION_FRAMES of their faces calibrate it, and as many others are compared with torch.

    Raises UserError if the checkpoint or the extra is missing, if a file would replace one of the checkpoint's, if
    there are too few pictures, or if a probability of a drawn face differs from torch's by TOLERANCE or more. In
    8 bits, the caller must judge the differences.
    """
    if int8 and form != "openvino":
        raise UserError(f"--int8 goes with --format openvino, not with {form}")
    paths = files_of(form, out)
    for path in paths:
        if any(path.exists() and path.samefile(own) for own in (checkpoint, checkpoint.with_suffix(".json"))):
            raise UserError(f"{path} belongs to the checkpoint: name another file with --out")
    write, read = FORMATS[form]
    network, sidecar = load_checkpoint(checkpoint)
    size, tolerance = sidecar.size, TOLERANCE
    if int8:
        seen = _sample_crops(Detector(network, sidecar, device="cpu"), int8)
        write, compared, tolerance = partial(_write_openvino, calibration=seen[::2]), seen[1::2], 1.0
    else:
        compared = list(_drawn_frames(size, DRAWN))
    with replacing(*paths) as parts:
        _print_progress(f"{form}: converting {sidecar.arch} at {size} pixels; B7 takes about a minute")
        write(network, sidecar, parts[0])
        parity = compare(read(parts[0]), network, sidecar, compared)
        if not parity.probability < tolerance:  # NaN is refused too
            raise UserError(
                f"{out}: not written: its probabilities differ from torch's by up to {parity.probability:.1e}, "
                f"{tolerance:.0e} or more; take another --format"
            )
    return parity


def compare(run: Runner, network: Network, sidecar: Sidecar, frames: Sequence[Pixels]) -> Parity:
    """Compares what ``run`` gives for ``frames`` with ``network`` in torch on the CPU."""
    found: list[tuple[Numbers, Numbers]] = []
    exact: list[Numbers] = []
    waiting, sizes = iter(frames), chain(BATCHES, repeat(8))
    with progress(title="comparing with torch", total=len(frames), unit="frame") as bar:
        while taken := list(islice(waiting, next(sizes))):
            batch, size = np.stack(taken), len(taken)
            probability, logit = run(batch)
            if probability.shape != (size,) or logit.shape != (size,):
                raise ValueError(f"{size} frames gave {probability.shape} probabilities and {logit.shape} logits")
            found.append((probability.astype(float), logit.astype(float)))
            with torch.inference_mode():
                exact.append(network(torch.from_numpy(batch)).double().numpy())
            bar.update(size)
    probabilities, logits = (np.concatenate(part) for part in zip(*found, strict=True))
    torch_logits = np.concatenate(exact)
    torch_probabilities = sidecar.probability(torch_logits)
    threshold = sidecar.threshold
    return Parity(
        len(logits),
        float(np.abs(probabilities - torch_probabilities).max()),
        float(np.abs(logits - torch_logits).max()),
        int(((probabilities >= threshold) != (torch_probabilities >= threshold)).sum()),
    )


def metadata(sidecar: Sidecar) -> dict[str, str]:
    """The sidecar as text by key. A value that is not text becomes JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in sidecar.model_dump().items()}


class CalibratedModel(nn.Module):
    """The network with its calibration. It takes frames like ``Network``, and returns probabilities and logits."""

    def __init__(self, network: Network, calibration: Calibration) -> None:
        super().__init__()
        self.network, self.temperature, self.bias = network, calibration.temperature, calibration.bias

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        logit = self.network(frames)
        return torch.sigmoid(logit / self.temperature + self.bias), logit


def _traced(network: Network, sidecar: Sidecar) -> torch.export.ExportedProgram:
    example = torch.zeros(2, *sidecar.input_size, 3, dtype=torch.uint8)
    calibrated = CalibratedModel(copy.deepcopy(network), sidecar).eval()
    return torch.export.export(calibrated, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


def _write_onnx(network: Network, sidecar: Sidecar, path: Path) -> None:
    onnx, _ = _import_onnx()
    program = torch.onnx.export(
        _traced(network, sidecar),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=OUTPUTS,
        dynamic_shapes=({0: "batch"},),
        verbose=False,
    )
    model = cast(torch.onnx.ONNXProgram, program).model_proto
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")  # it names lines of code with this machine's paths
    onnx.helper.set_model_props(model, metadata(sidecar))
    path.write_bytes(model.SerializeToString())


def _read_onnx(path: Path) -> Runner:
    _, runtime = _import_onnx()
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda batch: tuple(session.run(list(OUTPUTS), {INPUT: batch}))


def _write_openvino(network: Network, sidecar: Sidecar, path: Path, calibration: Sequence[Pixels] = ()) -> None:
    openvino = import_openvino()
    model = openvino.convert_model(_traced(network, sidecar))
    model.reshape(openvino.PartialShape([-1, *sidecar.input_size, 3]))  # the conversion loses this shape
    if calibration:
        model = quantised(model, calibration)
    for port, name in zip((*model.inputs, *model.outputs), (INPUT, *OUTPUTS), strict=True):
        port.get_tensor().set_names({name})
    for key, value in metadata(sidecar).items():
        model.set_rt_info(value, ["deepfake_detection", key])
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # also for a full disk, without the system's message
        raise OSError(errno.EIO, f"OpenVINO could not write it ({error})", str(path)) from None


def _read_openvino(path: Path) -> Runner:
    model = import_openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(batch: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
        found = model(batch)
        return found[OUTPUTS[0]], found[OUTPUTS[1]]

    return run


def _write_safetensors(network: Network, sidecar: Sidecar, path: Path) -> None:
    state = {name: value.contiguous() for name, value in network.efficientnet.state_dict().items()}
    # All under one key, because safetensors writes several keys in an order that changes from run to run.
    path.write_bytes(save(state, {"deepfake_detection": json.dumps(sidecar.model_dump())}))
    path.with_suffix(".json").write_text(json.dumps(sidecar.model_dump(), indent=2) + "\n")


def _read_safetensors(path: Path) -> Runner:
    network, sidecar = load_checkpoint(path)

    def run(batch: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
        with torch.inference_mode():
            logit = network(torch.from_numpy(batch)).numpy()
        return sidecar.probability(logit), logit

    return run


FORMATS: dict[str, tuple[Callable[[Network, Sidecar, Path], None], Callable[[Path], Runner]]] = {
    "onnx": (_write_onnx, _read_onnx),
    "openvino": (_write_openvino, _read_openvino),
    "safetensors": (_write_safetensors, _read_safetensors),
}


def _import_onnx() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed; run make env, or pip install onnx onnxscript onnxruntime"
        ) from None
    return onnx, onnxruntime


def _sample_crops(detector: Detector, files: Sequence[str]) -> list[Pixels]:
    """What the network sees of evenly spaced pictures. Every other crop calibrates, and the rest are compared."""
    most = 2 * CALIBRATION_FRAMES
    some = files[:: -(-len(files) // most)]
    refused: list[Prediction] = []
    with progress(detector.crops(some, refused.append), "reading pictures", unit="face") as found:
        seen = list(islice(found, most))
    if refused:
        first = f"{printable(refused[0].path)}: {refused[0].reason}"
        _print_progress(f"{len(refused)} of {len(some)} pictures give no face, e.g. {first}")
    if len(seen) < MIN_FACES:
        raise UserError(f"--int8: {len(seen)} faces in {len(some)} pictures; name {MIN_FACES} or more, best 600")
    return seen


def _drawn_frames(size: int, count: int) -> Iterator[Pixels]:
    """Drawn frames of ``count`` people, the same in every run. Every other frame is a face swap."""
    side = min(max(size, 64), 128)  # drawing larger frames would take longer than the networks
    for who in range(count):
        target = film(who, 0, side, seed=0)
        if who % 2:
            source = film(who + count, 0, side, seed=0)
            picture = deepfakes(target, source, np.random.default_rng(who))
        else:
            picture = target.filmed
        yield crop_face(np.round(picture * 255).astype(np.uint8), None, 0, size)


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr)
