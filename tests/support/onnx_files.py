"""A small ONNX file whose scores can be computed by hand, its card, and the checkpoint that is made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import yaml
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from deepfake_detection.importing.onnx import import_onnx

SIDE = 32  # pixels
WEIGHTS = np.array([[0.5, -1.5], [1.0, 2.0], [-0.25, 0.75]], np.float32)
BIAS = np.array([0.125, -0.5], np.float32)
CARD: dict[str, Any] = {
    "name": "means of colours",
    "licence": "MIT",
    "layout": "NCHW",
    "size": SIDE,
    "colours": "RGB",
    "normalise": "0..1",
    "crop": "none",
    "gives": "two logits",
    "fake": 1,
    "labels": {"real": ["camera"], "fake": ["swap"]},
}


def of_graph(
    nodes: list[Any],
    tensors: list[Any] = [],  # noqa: B006
    shape: tuple[Any, ...] = ("batch", 3, SIDE, SIDE),
    outputs: tuple[str, ...] = ("scores",),
    kind: int = TensorProto.FLOAT,
) -> Any:
    """An ONNX model with the input ``frames``, of ``shape`` and of numbers of ``kind``."""
    taken = [helper.make_tensor_value_info("frames", kind, shape)]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "graph", taken, given, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def colour_means(
    classes: int = 2, last: str = "", shape: tuple[Any, ...] = ("batch", 3, SIDE, SIDE), kind: int = TensorProto.FLOAT
) -> Any:
    """A model that multiplies each frame's means of colours with WEIGHTS, and adds BIAS; ``last`` is what follows."""
    nodes = [helper.make_node("Cast", ["frames"], ["numbers"], to=TensorProto.FLOAT)]
    before = "numbers"
    if shape[3] == 3:
        nodes.append(helper.make_node("Transpose", ["numbers"], [before := "planes"], perm=[0, 3, 1, 2]))
    nodes += [
        helper.make_node("GlobalAveragePool", [before], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("Gemm", ["means", "weights", "bias"], ["sums" if last else "scores"]),
        *([helper.make_node(last, ["sums"], ["scores"])] if last else []),
    ]
    tensors = [
        numpy_helper.from_array(WEIGHTS[:, :classes], "weights"),
        numpy_helper.from_array(BIAS[:classes], "bias"),
    ]
    return of_graph(nodes, tensors, shape, kind=kind)


def expected(means: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """The logits of ``colour_means``, for means of normalised colours of shape (frames, 3), if the last is fake."""
    values = means @ WEIGHTS.astype(float) + BIAS
    found: NDArray[np.float64] = values[:, 0] if classes == 1 else values[:, 1] - values[:, 0]
    return found


def written(folder: Path, model: Any = None, **changes: Any) -> tuple[Path, Path]:
    """Writes an ONNX file and its card, and returns their paths. A change to None takes a key away."""
    file, card = folder / "model.onnx", folder / "card.yaml"
    onnx.save(model or colour_means(), file)
    card.write_text(yaml.safe_dump({key: value for key, value in (CARD | changes).items() if value is not None}))
    return file, card


def onnx_checkpoint(folder: Path) -> Path:
    """The checkpoint of ``colour_means``."""
    import_onnx(*written(folder), folder / "mine.pth")
    return folder / "mine.pth"
