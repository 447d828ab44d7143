"""Writes a trained network for other runtimes: as ONNX, OpenVINO or safetensors."""

import copy
import errno
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from deepfake_detection.inference.checkpoint import Checkpoint, load_checkpoint
from deepfake_detection.inference.familiarity import familiarity_file, save_familiarity
from deepfake_detection.inference.openvino import CALIBRATION_FRAMES, import_openvino, quantised
from deepfake_detection.network.sidecar import FAMILIARITY, Sidecar
from deepfake_detection.pictures.crops import crop_face
from deepfake_detection.serving.detector import Detector
from deepfake_detection.serving.results import Prediction
from deepfake_detection.sources.drawn.drawing import film
from deepfake_detection.sources.drawn.manipulations import deepfakes

Pixels: TypeAlias = NDArray[np.uint8]
Numbers: TypeAlias = NDArray[np.float64]
Runner: TypeAlias = Callable[[Pixels], Sequence[NDArray[Any]]]
"""Maps frames, uint8 of shape (batch, size, size, 3), to the outputs of ``ExportedModel``."""

FILES = {"onnx": (".onnx",), "openvino": (".xml", ".bin"), "safetensors": (".safetensors", ".json", FAMILIARITY)}
OPSET = 18  # the oldest that torch writes, so that any runtime of recent years can read it
INPUT = "frames"
PROBABILITY, AUTHORS_SCORE = "probability", "authors_score"  # the second in place of the first without a calibration
LOGIT, CHANGED, UNFAMILIARITY = "logit", "changed", "unfamiliarity"
TOLERANCE = 1e-3  # scores must differ from torch's by less than this, and unfamiliarity by this share
BATCHES = (1, 3, 4)  # the first batch sizes of the comparison; several, to show that none is fixed
DRAWN = 32  # drawn frames in the comparison
MIN_FACES = 20  # needed for 8 bits; half of them calibrate


@dataclass(frozen=True)
class Parity:
    """How far the written network is from torch on ``frames``, and the number of different verdicts.

    ``apart`` has the largest difference of each output. That of UNFAMILIARITY is a share of its value where that is
    above 1.
    """

    frames: int
    apart: dict[str, float]
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
    give ``probability``, which is sigmoid(logit / temperature + bias), ``logit``, and if the checkpoint has a
    familiarity, ``unfamiliarity``, each float32 of shape (batch,). In place of the first, a checkpoint that is not
    calibrated here gives AUTHORS_SCORE, the sigmoid of the logit. A network with a WhereHead also gives ``changed``,
    from 0 to 1 for each place, float32 of shape (batch, rows, columns). safetensors holds only the weights, for
    ``Detector.load``, and the familiarity in a file of its own. The sidecar is in the file's metadata. ONNX
    (metadata_props) and OpenVINO (rt_info, under "deepfake_detection") hold it by key, and a value that is not text
    as JSON. safetensors holds all of it as one JSON text. The files contain no paths or names from this machine.

    ``int8``, only for OpenVINO, names pictures like those that will be judged. The network then computes in 8 bits.
    Up to CALIBRATION_FRAMES of their faces calibrate it, and as many others are compared with torch.

    Raises UserError if the checkpoint or the extra is missing, if the network is an ONNX file, if a file would replace
    one of the checkpoint's, if there are too few pictures, or if a number for a drawn face differs from torch's by
    TOLERANCE or more. In 8 bits, the caller must judge the differences.
    """
    if int8 and form != "openvino":
        raise UserError(f"--int8 goes with --format openvino, not with {form}")
    paths = files_of(form, out)
    own = (checkpoint, checkpoint.with_suffix(".json"), familiarity_file(checkpoint))
    for path in paths:
        if any(path.exists() and each.exists() and path.samefile(each) for each in own):
            raise UserError(f"{path} belongs to the checkpoint: name another file with --out")
    write, read = FORMATS[form]
    loaded = load_checkpoint(checkpoint)
    loaded.network.require_layers("export")
    sidecar, tolerance = loaded.sidecar, TOLERANCE
    if form == "safetensors" and loaded.familiarity is None:
        paths.remove(familiarity_file(out))
    size = sidecar.size
    if int8:
        seen = _sample_crops(Detector(loaded.network, sidecar, device="cpu"), int8)
        write, compared, tolerance = partial(_write_openvino, calibration=seen[::2]), seen[1::2], 1.0
    else:
        compared = list(_drawn_frames(size, DRAWN))
    with replacing(*paths) as parts:
        _print_progress(f"{form}: converting {sidecar.arch} at {size} pixels; B7 takes about a minute")
        write(loaded, parts[0])
        parity = compare(read(parts[0]), loaded, compared)
        for name, difference in parity.apart.items():
            if name != LOGIT and not difference < tolerance:  # NaN is refused too
                raise UserError(
                    f"{out}: not written: its {name} differs from torch's by up to {difference:.1e}, {tolerance:.0e} "
                    "or more; take another --format"
                )
    return parity


def compare(run: Runner, checkpoint: Checkpoint, frames: Sequence[Pixels]) -> Parity:
    """Compares what ``run`` gives for ``frames`` with what the checkpoint gives in torch on the CPU."""
    found: list[Sequence[Numbers]] = []
    exact: list[Sequence[Numbers]] = []
    waiting, sizes = iter(frames), chain(BATCHES, repeat(8))
    model = ExportedModel(checkpoint).eval()
    with progress(title="comparing with torch", total=len(frames), unit="frame") as bar:
        while taken := list(islice(waiting, next(sizes))):
            batch = np.stack(taken)
            found.append([output.astype(float) for output in run(batch)])
            with torch.inference_mode():
                exact.append([output.double().numpy() for output in model(torch.from_numpy(batch))])
            shapes, right = ([output.shape for output in each[-1]] for each in (found, exact))
            if shapes != right:
                raise ValueError(f"{len(taken)} frames gave {', '.join(map(str, shapes))}")
            bar.update(len(taken))
    names = outputs_of(checkpoint)
    ours, theirs = (
        dict(zip(names, map(np.concatenate, zip(*each, strict=True)), strict=True)) for each in (found, exact)
    )
    apart = {name: np.abs(ours[name] - theirs[name]) for name in names}
    if UNFAMILIARITY in apart:
        apart[UNFAMILIARITY] /= np.maximum(theirs[UNFAMILIARITY], 1)
    decisions = _verdicts(ours, checkpoint.sidecar) != _verdicts(theirs, checkpoint.sidecar)
    return Parity(len(frames), {name: float(each.max()) for name, each in apart.items()}, int(decisions.sum()))


def _verdicts(outputs: Mapping[str, Numbers], sidecar: Sidecar) -> NDArray[np.int64]:
    """0 for an original, 1 for a fake, 2 for an unfamiliar frame; 0 for all that a network says uncalibrated."""
    if not sidecar.calibrated:
        return np.zeros(len(outputs[LOGIT]), np.int64)
    called: NDArray[np.int64] = np.where(outputs[PROBABILITY] >= sidecar.frame.threshold, 1, 0)
    return np.where(outputs[UNFAMILIARITY] > 1, 2, called) if UNFAMILIARITY in outputs else called


def metadata(sidecar: Sidecar) -> dict[str, str]:
    """The sidecar as text by key, with that of frames among them. A value that is not text becomes JSON."""
    values = sidecar.model_dump()
    values |= values.pop("frame")
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


class ExportedModel(nn.Module):
    """A checkpoint as one module. It takes frames like ``Network``, and returns what ``outputs_of`` names."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        self.network, self.familiarity = checkpoint.network, checkpoint.familiarity
        self.temperature, self.bias = checkpoint.sidecar.frame.temperature, checkpoint.sidecar.frame.bias

    def forward(self, frames: Tensor) -> tuple[Tensor, ...]:
        if self.network.variant.localise:
            logit, places = self.network.located(frames)
            found = [logit, places.sigmoid()]
        else:
            found = [self.network(frames)]
        score = torch.sigmoid(found[0] / self.temperature + self.bias)
        return (score, *found, *([] if self.familiarity is None else [self.familiarity(frames)]))


def outputs_of(checkpoint: Checkpoint) -> tuple[str, ...]:
    """The names of the outputs, in their order."""
    names = {
        PROBABILITY if checkpoint.sidecar.calibrated else AUTHORS_SCORE: True,
        LOGIT: True,
        CHANGED: checkpoint.network.variant.localise,
        UNFAMILIARITY: checkpoint.familiarity is not None,
    }
    return tuple(name for name, there in names.items() if there)


def _traced(model: nn.Module, size: int) -> torch.export.ExportedProgram:
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = ({0: torch.export.Dim("batch", min=1)},)
    return torch.export.export(copy.deepcopy(model).eval(), (example,), dynamic_shapes=batch)


def _write_onnx(checkpoint: Checkpoint, path: Path) -> None:
    onnx, _ = _import_onnx()
    program = torch.onnx.export(
        _traced(ExportedModel(checkpoint), checkpoint.sidecar.size),
        dynamo=True,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=outputs_of(checkpoint),
        dynamic_shapes=({0: "batch"},),
        verbose=False,
    )
    model = cast(torch.onnx.ONNXProgram, program).model_proto
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")  # it names lines of code with this machine's paths
    onnx.helper.set_model_props(model, metadata(checkpoint.sidecar))
    path.write_bytes(model.SerializeToString())


def _read_onnx(path: Path) -> Runner:
    _, runtime = _import_onnx()
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda batch: cast(list[NDArray[Any]], session.run(None, {INPUT: batch}))


def _write_openvino(checkpoint: Checkpoint, path: Path, calibration: Sequence[Pixels] = ()) -> None:
    openvino, size = import_openvino(), checkpoint.sidecar.size
    model = openvino.convert_model(_traced(ExportedModel(checkpoint._replace(familiarity=None)), size))
    model.reshape(openvino.PartialShape([-1, size, size, 3]))  # the conversion loses this shape
    if calibration:
        model = quantised(model, calibration)
    if checkpoint.familiarity is not None:  # after the quantisation, which must not round it
        other = openvino.convert_model(_traced(checkpoint.familiarity, size))
        other.reshape(openvino.PartialShape([-1, size, size, 3]))
        for target in other.get_parameters()[0].output(0).get_target_inputs():
            target.replace_source_output(model.get_parameters()[0].output(0))
        model.add_results(other.get_results())
    for port, name in zip((*model.inputs, *model.outputs), (INPUT, *outputs_of(checkpoint)), strict=True):
        port.get_tensor().set_names({name})
    for key, value in metadata(checkpoint.sidecar).items():
        model.set_rt_info(value, ["deepfake_detection", key])
    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # also for a full disk, without the system's message
        raise OSError(errno.EIO, f"OpenVINO could not write it ({error})", str(path)) from None


def _read_openvino(path: Path) -> Runner:
    model = import_openvino().Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda batch: list(model(batch).to_tuple())


def _write_safetensors(checkpoint: Checkpoint, path: Path) -> None:
    state = {name: value.contiguous() for name, value in checkpoint.network.efficientnet.state_dict().items()}
    sidecar = checkpoint.sidecar.model_dump()
    # All under one key, because safetensors writes several keys in an order that changes from run to run.
    path.write_bytes(save(state, {"deepfake_detection": json.dumps(sidecar)}))
    path.with_suffix(".json").write_text(json.dumps(sidecar, indent=2) + "\n")
    if checkpoint.familiarity is not None:
        save_familiarity(familiarity_file(path), checkpoint.familiarity)


def _read_safetensors(path: Path) -> Runner:
    model = ExportedModel(load_checkpoint(path)).eval()

    def run(batch: Pixels) -> Sequence[NDArray[Any]]:
        with torch.inference_mode():
            return [output.numpy() for output in model(torch.from_numpy(batch))]

    return run


FORMATS: dict[str, tuple[Callable[[Checkpoint, Path], None], Callable[[Path], Runner]]] = {
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
        yield crop_face(np.round(picture * 255).astype(np.uint8), None, "none", 0, size)


def _print_progress(line: str) -> None:
    print(line, file=sys.stderr)
