"""What a case file says: what was examined, with what, how, and what came out. The JSON file holds all of it."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deepfake_detection.common.errors import UserError
from deepfake_detection.common.files import sha256_of
from deepfake_detection.common.text import printable
from deepfake_detection.inference.familiarity import familiarity_file
from deepfake_detection.inference.tested import Tested, results_file
from deepfake_detection.network.sidecar import Sidecar
from deepfake_detection.pictures.images import UnreadableImageError
from deepfake_detection.reporting.caveats import warnings_of_network
from deepfake_detection.serving.case.facts import Facts, facts_of
from deepfake_detection.serving.case.weighing import evidence_values
from deepfake_detection.serving.credentials import Anchors
from deepfake_detection.serving.results import Prediction, fields_of, prediction_schemas
from deepfake_detection.serving.validation import conditions_of
from deepfake_detection.serving.view import shown
from deepfake_detection.serving.words import Said, Wording, not_meant, wording

if TYPE_CHECKING:
    from deepfake_detection.serving.detector import Detector
    from deepfake_detection.serving.second_opinion import SecondOpinion

PACKAGES = (
    *("deepfake-detection", "torch", "torchvision", "numpy", "scipy", "pillow", "av"),
    *("opencv-python-headless", "c2pa-python"),
)


class Examined(BaseModel):
    """A file and what came out: ``prediction`` in numbers, ``headline`` and ``trust`` in words."""

    model_config = ConfigDict(frozen=True)

    path: str
    facts: Facts
    headline: str
    level: Literal["clear", "leaning", "uncertain", "none"]
    trust: list[str] = Field(description="how far to trust it")
    evidence: list[str] = Field(default=[], description="what the score is worth as evidence, and how stable it is")
    prediction: Annotated[dict[str, Any], Field(description="what `predict --json` prints of the file")]


class Files(BaseModel):
    """The network's files, by their SHA-256."""

    model_config = ConfigDict(frozen=True)

    checkpoint: str
    checkpoint_sha256: str
    sidecar_sha256: str
    familiarity_sha256: str | None
    tested_sha256: str | None


class Assignment(BaseModel):
    """What the examiner says of the case; nothing of it is checked."""

    model_config = ConfigDict(frozen=True)

    case: str = Field(default="", description="its number or name")
    exhibit: str = Field(default="", description="the number or name under which the files were handed in")
    question: str = Field(default="", description="what the examiner was asked")
    examiner: str = ""
    reviewer: str = Field(default="", description="who checked the examination")
    note: str = Field(default="", description="where the files come from, or anything else")


class Case(BaseModel):
    """All that a case file says. ``time`` alone differs between two runs of one ``command`` on one machine."""

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    time: str = Field(description="when it was written, in UTC (ISO 8601)")
    command: str = Field(description="the command as it was given")
    frames: int | None = Field(ge=1, description="frames taken of each video; null if its length decided")
    assignment: Assignment = Assignment()
    software: dict[str, str] = Field(description="versions by package, and the processor's architecture")
    device: str = Field(description="what computed: cpu, or torch's name of an accelerator")
    network: Files
    sidecar: Sidecar = Field(description="the JSON file beside the checkpoint, with the threshold that was used")
    tested: Tested | None = Field(description="how the network did in its tests; null if no file says so")
    warnings: list[str] = Field(description="what to know of the network before any score, the most serious first")
    not_meant: list[str] = Field(description="what the scores do not mean")
    files: list[Examined]


def examined(
    detector: "Detector",
    path: Path,
    tested: Tested | None,
    frames: int | None = None,
    anchors: Anchors | None = None,
    second: "SecondOpinion | None" = None,
) -> tuple[Examined, dict[str, Any]]:
    """Judges a file: what came out, and what a template shows, which is ``{}`` for an unreadable file.

    Raises OSError if the file cannot be opened, and UserError if it is not the same file any more at the end.
    """
    facts = facts_of(path, anchors)
    try:
        found, values = shown(detector, path, frames, check=True)
    except UnreadableImageError as error:
        found, values = Prediction(str(path), "none", reason=str(error), failed=True), {}
    if sha256_of(path) != facts.sha256:
        raise UserError(
            f"{printable(str(path))}: it changed while it was examined; examine a copy that nothing changes"
        )
    said = wording(found, detector.sidecar)
    conditions = conditions_of(found, path, [facts.width, facts.height], values.get("brightness"))
    evidence = evidence_values(found, detector.sidecar, tested, conditions)
    if second and evidence:
        evidence["sentences"].append(second.sentence(found, path, frames))
    record = Examined(
        path=printable(str(path)),
        facts=facts,
        headline=said.headline,
        level=said.level,
        trust=[each.first + each.rest for each in trust(said, tested)],
        evidence=evidence.get("sentences", []),
        prediction=fields_of(found) | {"path": printable(str(path))},
    )
    return record, values | {"evidence": evidence} if values else {}


def trust(said: Wording, tested: Tested | None) -> list[Said]:
    """How far to trust a verdict, given what the network was trained on."""
    drawn = Said("Trained on drawn faces.", " This network says nothing about photographs and films of real people.")
    return [*([drawn] if said.trust and tested and tested.drawn else []), *said.trust]


def case_of(
    checkpoint: Path,
    detector: "Detector",
    tested: Tested | None,
    files: list[Examined],
    command: str,
    time: str,
    assignment: Assignment,
    frames: int | None,
) -> Case:
    """The case of these files."""
    return Case(
        time=time,
        command=printable(command),
        frames=frames,
        assignment=Assignment(**{name: printable(text) for name, text in assignment}),
        software=_software(),
        device=str(detector.device),
        network=Files(
            checkpoint=checkpoint.name,
            checkpoint_sha256=sha256_of(checkpoint),
            sidecar_sha256=sha256_of(checkpoint.with_suffix(".json")),
            familiarity_sha256=_sha256_if_there(familiarity_file(checkpoint)),
            tested_sha256=_sha256_if_there(results_file(checkpoint)),
        ),
        sidecar=detector.sidecar,
        tested=tested,
        warnings=warnings_of_network(tested),
        not_meant=[each.first + each.rest for each in not_meant(detector.sidecar, tested)],
        files=files,
    )


def case_schema() -> dict[str, Any]:
    """The JSON Schema of the JSON file."""
    schema = Case.model_json_schema(mode="serialization")
    prediction, definitions = prediction_schemas("#/$defs/{model}")
    schema["$defs"] |= definitions
    schema["$defs"]["Examined"]["properties"]["prediction"] = prediction
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _sha256_if_there(path: Path) -> str | None:
    return sha256_of(path) if path.exists() else None


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # what only some checkpoints need
            continue
    return found | {"machine": platform.machine()}
