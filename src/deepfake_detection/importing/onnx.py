"""Imports an ONNX file with a card that says how it is fed and read, so that it can be used like a checkpoint."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from pydantic import ValidationError

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import replacing
from deepfake_detection.common.text import one_line, printable
from deepfake_detection.network.model import Network, described
from deepfake_detection.network.normalise import Normalise
from deepfake_detection.network.onnx_door import ONNX, Card, OnnxNetwork, checked_card
from deepfake_detection.network.sidecar import Imported, Sidecar
from deepfake_detection.network.weights import save_tensors

LARGEST = 2**31 - 1  # bytes of an ONNX file that holds its weights


def import_onnx(file: Path, card: Path, to: Path, check: Callable[[Network, Sidecar], None] | None = None) -> Sidecar:
    """Writes the checkpoint ``to`` and its sidecar, from an ONNX file and the YAML file of its card.

    ``check`` gets the network and the sidecar before anything is written, and may raise an error.

    Raises UserError when a file is missing or wrong, when they do not fit each other, when what comes out for a few
    frames cannot be what the card says, or when onnxruntime is not installed. Nothing is written then.
    """
    about = read_card(card)
    content = _read(file)
    inner = OnnxNetwork(content, about, file)
    network = Network(inner, Normalise(*about.levels)).eval()
    _try_out(network, inner)
    sidecar = _sidecar_of(network, about, card, hashlib.sha256(content).hexdigest())
    if check is not None:
        check(network, sidecar)
    saved = {ONNX: torch.frombuffer(bytearray(content), dtype=torch.uint8), "card": about.model_dump()}
    with replacing(to, to.with_suffix(".json")) as (weights, beside):
        save_tensors(saved, weights)
        beside.write_text(sidecar.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return sidecar


def read_card(path: Path) -> Card:
    """The card in a YAML file. Raises UserError if it is missing, no YAML, or lacks a key."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such card; docs/guides/other-networks.md shows one") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not valid YAML: {printable(one_line(error))}") from None
    return checked_card(content, path)


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path}: a folder, not an ONNX file")
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    if size > LARGEST:
        raise UserError(f"{path}: {size / 1e9:.1f} GB, and an ONNX file has up to 2 GB")
    return path.read_bytes()


def _sidecar_of(network: Network, card: Card, where: Path, digest: str) -> Sidecar:
    try:
        return Sidecar(
            **described(network, ONNX),
            input_size=[card.size, card.size],
            crop=card.crop,  # checked here
            margin=card.margin,
            categories=card.labels,
            imported=Imported(recipe=card.name, licence=card.licence, files=[digest]),
            calibrated=False,
        )
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        raise UserError(printable(f"{where}: {problem['loc'][0]}: {problem['msg']}", " ")) from None


def _try_out(network: Network, inner: OnnxNetwork) -> None:
    """Computes frames of noise, each of other colours. Raises UserError if the results cannot be what the card says."""
    card, where = inner.card, inner.where
    colours = np.array([[60, 60, 60], [60, 160, 256], [256, 200, 120]]).reshape(3, 1, 1, 3)
    noise = np.random.default_rng(0).integers(0, colours, (3, card.size, card.size, 3)).astype(np.uint8)
    frames = torch.from_numpy(noise)
    with torch.inference_mode():
        values = inner.values(network.normalise(frames))
        logits, alone = network(frames), torch.cat([network(frame[None]) for frame in frames])
    inside = (values >= -1e-4).all() and (values <= 1 + 1e-4).all()
    sums_to_one = inside and values.shape[1] == 2 and np.abs(values.sum(1) - 1).max() < 1e-3
    if "probab" in card.gives and not (sums_to_one or (inside and values.shape[1] == 1)):
        raise UserError(
            f"{where}: it gives numbers from {values.min():.3g} to {values.max():.3g} for noise, which are not the "
            f"card's `gives: {card.gives}`"
        )
    if card.gives == "two logits" and sums_to_one:
        raise UserError(f"{where}: its two outputs add up to 1, so the card must say `gives: two probabilities`")
    if not torch.allclose(logits, alone, rtol=1e-2, atol=1e-2):
        raise UserError(
            f"{where}: a frame's logit in another batch differs by up to {float((logits - alone).abs().max()):.2g}: "
            "export the network in evaluation mode, or for one frame at a time"
        )
