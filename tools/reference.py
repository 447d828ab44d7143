"""Writes docs/reference/ from the code: ``make docs``."""

import json
import tempfile
from pathlib import Path
from typing import Any

from dvc.utils.hydra import compose_and_dump

from deepfake_detection.params.load import Params, load_params
from deepfake_detection.reporting.report import METRIC_GROUPS
from deepfake_detection.serving.case.record import case_schema
from tools.metrics_keys import BLOCKS, FILES, Keys

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "reference"
PROFILES = ("embedded", "small", "adopt", "ffpp", "ffpp-fast", "ffpp-strong")
NAMED: dict[str, dict[str, Any]] = {  # sections with entries that the user names
    "datasets": {"description": "The data sets, by names of your own: docs/guides/several-data-sets.md."},
    "pretrain": {},
}
NOTE = "<!-- written by `make docs` from the code; do not edit -->\n\n"


def main() -> None:
    for name, text in pages().items():
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The pages by file name."""
    return {
        "parameters.md": parameters(),
        "metrics.md": metrics_files(),
        "case.schema.json": json.dumps(case_schema(), indent=2) + "\n",
    }


def parameters() -> str:
    """A table for each section of params.yaml: key, the profiles' values, type and meaning."""
    defaults = [flat(composed(profile)) for profile in PROFILES]
    schema = Params.model_json_schema()
    sections: dict[str, list[str]] = {}
    for key, field in leaves(schema, schema):
        values = [code(default[key]) if key in default else "" for default in defaults]
        otherwise = f" If left out: {code(field['default'])}." if "default" in field else ""
        row = f"| `{key}` | {' | '.join(values)} | {kind(field)} | {field['description']}{otherwise} |"
        sections.setdefault(key.partition(".")[0], []).append(row)
    head = "| key | " + "".join(f"`{name}` | " for name in PROFILES) + "type | meaning |\n"
    head += "|---|" + "---|" * len(PROFILES) + "---|---|\n"
    tables = [f"## `{section}`\n\n{head}{chr(10).join(rows)}\n" for section, rows in sections.items()]
    intro = (
        "# Parameters\n\nThe keys of `params.yaml`, with their values in the profiles of `conf/`. An unknown key, "
        "a wrong type or an impossible value ends a stage with one line that names the key. How to change them: "
        "[Run experiments](../guides/experiments.md).\n\n"
    )
    return NOTE + intro + "\n".join(tables)


def metrics_files() -> str:
    """A table for each metrics file: key and meaning."""
    rows = [
        f"| `{key}` | {title} | {text} |" for group in METRIC_GROUPS.values() for key, (title, text) in group.items()
    ]
    parts = [
        "# Keys of the metrics files\n\nThe files are in `metrics/`, in git. `<...>` stands for any name, `[]` for "
        "each item of a list, `*` for each key of a block. Metrics take a deepfake as the positive class.\n",
        "## Metrics\n\n| key | name | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n",
    ]
    parts += [
        f"## `metrics/{name}`\n\nWritten by the stage `{stage}`. {text}\n\n{meanings(keys)}"
        for name, (stage, text, keys) in FILES.items()
    ]
    parts += [f"## The block {name}\n\n{meanings(keys)}" for name, keys in BLOCKS.items()]
    return NOTE + "\n".join(parts)


def meanings(keys: Keys) -> str:
    """A table of keys; a block is named, with a link to its own table."""
    rows = []
    for key, told in keys.items():
        meaning = told
        if not isinstance(told, str):
            meaning = f"[the block {told[0]}](#the-block-{told[0].replace(' ', '-')}) {told[1]}"
        rows.append(f"| `{key}` | {meaning} |\n")
    return "| key | meaning |\n|---|---|\n" + "".join(rows)


def composed(profile: str) -> dict[str, Any]:
    """The parameters of a profile, composed from conf/ in the same way as by `dvc exp run`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        compose_and_dump(str(path), str(ROOT / "conf"), None, "config", str(ROOT / ".dvc"), [f"profile={profile}"])
        return load_params(path).model_dump()


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict) and name not in NAMED:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def leaves(node: dict[str, Any], schema: dict[str, Any], prefix: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every parameter below a node of the JSON schema, in the order of the code."""
    found: list[tuple[str, dict[str, Any]]] = []
    for name, field in node["properties"].items():
        entries = [field.get("additionalProperties"), *field.get("patternProperties", {}).values()]
        below, inner = f"{prefix}{name}.", field
        if named := [entry for entry in entries if entry]:
            found.append((f"{prefix}{name}", NAMED[name] | field))
            below, inner = f"{below}<name>.", named[0]
        if "$ref" in inner:
            found += leaves(schema["$defs"][inner["$ref"].rpartition("/")[2]], schema, below)
        else:
            found.append((f"{prefix}{name}", field))
    return found


def kind(field: dict[str, Any]) -> str:
    """The type of a parameter in words, with its limits."""
    if "anyOf" in field:
        return " or ".join(kind(option) for option in field["anyOf"])
    if "enum" in field or "const" in field:
        return ", ".join(f"`{value}`" for value in field.get("enum", [field.get("const")]))
    if field["type"] == "array":
        return "list of names"
    name = {
        "integer": "whole number",
        "number": "number",
        "boolean": "`true` or `false`",
        "string": "text",
        "null": "`null`",
        "object": "sections by name",
    }[field["type"]]
    limits = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    return " ".join([name, *(f"{word} {field[limit]:g}" for limit, word in limits.items() if limit in field)])


def code(value: object) -> str:
    if isinstance(value, list | dict):
        return ", ".join(f"`{item}`" for item in value) or "none"
    if value == "":
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    main()
