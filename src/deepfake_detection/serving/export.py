"""A trained network in the form that other runtimes read: ONNX, OpenVINO's, or safetensors."""

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
from scipy.special import expit
from torch import Tensor, nn

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.progress import progress
from deepfake_detection.media.faces import crop_face
from deepfake_detection.network.checkpoint import load_checkpoint
from deepfake_detection.network.model import Network
from deepfake_detection.network.openvino import CALIBRATION_FRAMES, import_openvino, quantised
from deepfake_detection.network.sidecar import Sidecar
from deepfake_detection.serving.detector import Detector
from deepfake_detection.sources.drawn.dataset import film
from deepfake_detection.sources.drawn.manipulations import deepfakes

Pixels: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[np.float64]
Runner: TypeAlias = Callable[[Pixels], tuple[NDArray[Any], NDArray[Any]]]
"""From frames, uint8 of shape (batch, size, size, 3), to their probabilities and logits, of shape (batch,) both."""

FILES = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "safetensors": (".safetensors", ".json")}
OPSET = 18  # the oldest that torch writes: what any runtime of the last years reads
INPUT, OUTPUTS = "frames", ("probability", "logit")
TOLERANCE = 1e-3  # of the probability
BATCHES = (1, 3, 4)  # the first sizes in which what was written is compared with torch: none may be fixed
DRAWN = 32  # frames of the comparison
MIN_PICTURES = 20  # half of them calibrate 8 bits


@dataclass(frozen=True)
class Parity:
    """How far what was written is from torch: the largest differences, and the decisions that are others."""

    frames: int
    probability: float
    logit: float
    decisions: int


def files_of(form: str, out: Path) -> list[Path]:
    """The files that ``export`` writes; raises UserError for a name that does not end as the format's does."""
    endings = FILES[form]
    if out.suffix != endings[0]:
        raise UserError(f"--out {out}: {form} goes into a file that ends in {endings[0]}")
    return [out.with_suffix(ending) for ending in endings]


def export(checkpoint: Path, form: str, out: Path, int8: Sequence[str] = ()) -> Parity:
    """Writes the files of ``files_of``, whole or not at all, once they give torch's probabilities when read again.

    ONNX and OpenVINO take ``frames``, uint8 RGB of shape (batch, size, size, 3), any batch, not normalised, and give
    ``probability``, sigmoid(logit / temperature), and ``logit``, float32 of shape (batch,) each. safetensors holds
    the weights alone, for ``Detector.load``. The sidecar's content is in the file's metadata: in ONNX's
    metadata_props and OpenVINO's rt_info (there under "deepfake_detection") by key, what is no text as JSON; in
    safetensors' as one JSON. The files name nothing of this machine.

    ``int8``, for OpenVINO alone, names pictures like those that will be judged. Then the network computes in 8 bits:
    up to CALIBRATION_FRAMES of their faces calibrate it, as many others are compared with torch.

    Raises UserError when the checkpoint or the extra is missing, when a file would replace the checkpoint's, when
    the pictures are too few, and when a probability of drawn faces differs from torch's by TOLERANCE or more; in
    8 bits the differences are for the caller to judge.
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
        seen = _seen(Detector(network, sidecar), int8)
        network.cpu()  # which the detector moves to an accelerator
        write, compared, tolerance = partial(_write_openvino, calibration=seen[::2]), seen[1::2], 1.0
    else:
        compared = list(_drawn(size, DRAWN))
    with replacing(*paths) as parts:
        _tell(f"{form}: converting {sidecar.arch} at {size} pixels; B7 takes about a minute")
        write(network, sidecar, parts[0])
        parity = compare(read(parts[0]), network, sidecar, compared)
        if not parity.probability < tolerance:  # nor is NaN
            raise UserError(
                f"{out}: not written: its probabilities differ from torch's by up to {parity.probability:.1e}, "
                f"{tolerance:.0e} or more; take another --format"
            )
    return parity


def compare(run: Runner, network: Network, sidecar: Sidecar, frames: Sequence[Pixels]) -> Parity:
    """What ``run`` gives of ``frames``, against ``network`` in torch on the CPU."""
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
    torch_probabilities = expit(torch_logits / sidecar.temperature)
    threshold = sidecar.threshold
    return Parity(
        len(logits),
        float(np.abs(probabilities - torch_probabilities).max()),
        float(np.abs(logits - torch_logits).max()),
        int(((probabilities >= threshold) != (torch_probabilities >= threshold)).sum()),
    )


def metadata(sidecar: Sidecar) -> dict[str, str]:
    """The sidecar as text by key: what is no text, as JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in sidecar.model_dump().items()}


class CalibratedModel(nn.Module):
    """The network with its calibration: from frames, as ``Network`` takes them, to probabilities and logits."""

    def __init__(self, network: Network, temperature: float) -> None:
        super().__init__()
        self.network, self.temperature = network, temperature

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        logit = self.network(frames)
        return torch.sigmoid(logit / self.temperature), logit


def _traced(network: Network, sidecar: Sidecar) -> torch.export.ExportedProgram:
    example = torch.zeros(2, *sidecar.input_size, 3, dtype=torch.uint8)
    calibrated = CalibratedModel(copy.deepcopy(network), sidecar.temperature).eval()
    return torch.export.export(calibrated, (example,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))


def _write_onnx(network: Network, sidecar: Sidecar, path: Path) -> None:
    onnx, _ = _onnx()
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
        part.ClearField("metadata_props")  # lines of code, in this machine's folders
    onnx.helper.set_model_props(model, metadata(sidecar))
    path.write_bytes(model.SerializeToString())


def _read_onnx(path: Path) -> Runner:
    _, runtime = _onnx()
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda batch: tuple(session.run(list(OUTPUTS), {INPUT: batch}))


def _write_openvino(network: Network, sidecar: Sidecar, path: Path, calibration: Sequence[Pixels] = ()) -> None:
    openvino = import_openvino()
    model = openvino.convert_model(_traced(network, sidecar))
    model.reshape(openvino.PartialShape([-1, *sidecar.input_size, 3]))  # which the conversion loses
    if calibration:
        model = quantised(model, calibration)
    for port, name in zip((*model.inputs, *model.outputs), (INPUT, *OUTPUTS), strict=True):
        port.get_tensor().set_names({name})
    for key, value in metadata(sidecar).items():
        model.set_rt_info(value, ["deepfake_detection", key])
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # of a full disk too, and without the system's words
        raise OSError(errno.EIO, f"OpenVINO could not write it ({error})", str(path)) from None


def _read_openvino(path: Path) -> Runner:
    model = import_openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(batch: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
        found = model(batch)
        return found[OUTPUTS[0]], found[OUTPUTS[1]]

    return run


def _write_safetensors(network: Network, sidecar: Sidecar, path: Path) -> None:
    state = {name: value.contiguous() for name, value in network.efficientnet.state_dict().items()}
    # under one key: safetensors writes several in an order that no two runs share
    path.write_bytes(save(state, {"deepfake_detection": json.dumps(sidecar.model_dump())}))
    path.with_suffix(".json").write_text(json.dumps(sidecar.model_dump(), indent=2) + "\n")


def _read_safetensors(path: Path) -> Runner:
    network, sidecar = load_checkpoint(path)

    def run(batch: Pixels) -> tuple[NDArray[Any], NDArray[Any]]:
        with torch.inference_mode():
            logit = network(torch.from_numpy(batch)).numpy()
        return expit(logit / sidecar.temperature), logit

    return run


FORMATS: dict[str, tuple[Callable[[Network, Sidecar, Path], None], Callable[[Path], Runner]]] = {
    "onnx": (_write_onnx, _read_onnx),
    "openvino": (_write_openvino, _read_openvino),
    "safetensors": (_write_safetensors, _read_safetensors),
}


def _onnx() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch needs it
    except ImportError as error:
        raise UserError(
            f"{error.name} is not installed; run make env, or pip install onnx onnxscript onnxruntime"
        ) from None
    return onnx, onnxruntime


def _seen(detector: Detector, files: Sequence[str]) -> list[Pixels]:
    """What the network sees of the pictures, evenly taken: to calibrate with every other one, and compare the rest."""
    most = 2 * CALIBRATION_FRAMES
    some = files[:: -(-len(files) // most)]
    with progress(detector.crops(some), "reading pictures", unit="face") as found:
        seen = list(islice(found, most))
    if len(seen) < MIN_PICTURES:
        raise UserError(f"--int8: {len(seen)} faces in {len(some)} pictures; name {MIN_PICTURES} or more, best 600")
    return seen


def _drawn(size: int, count: int) -> Iterator[Pixels]:
    """Frames of as many people, the same in every run; every other one is a face swap."""
    side = min(max(size, 64), 128)  # more would take longer than the networks
    for who in range(count):
        target = film(who, 0, side, seed=0)
        if who % 2:
            source = film(who + count, 0, side, seed=0)
            picture = deepfakes(target, source, np.random.default_rng(who))
        else:
            picture = target.filmed
        yield crop_face(np.round(picture * 255).astype(np.uint8), None, 0, size)


def _tell(line: str) -> None:
    print(line, file=sys.stderr)
