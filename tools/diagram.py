"""Writes the pipeline of dvc.yaml as a Mermaid diagram into README.md and docs/architecture.md.

An arrow says that a stage reads what another writes. Those that follow from others are left out. ``dvc dag`` shows the
same with a stage for each data set.
"""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/architecture.md")
START, END = "<!-- pipeline: made by make docs -->", "<!-- end of pipeline -->"
OUTS = ("outs", "metrics", "plots")
OF_EACH = {"${datasets}": "@set", "${pretrain}": "@method", "${adapt}": "@method"}


def arrows(stages: dict[str, Any]) -> list[tuple[str, str]]:
    """The pairs of stages of which the second reads what the first writes, without those that follow from others."""
    bodies = {name: stage.get("do", stage) for name, stage in stages.items()}
    written = {
        name: [out if isinstance(out, str) else next(iter(out)) for kind in OUTS for out in body.get(kind, [])]
        for name, body in bodies.items()
    }
    reads = {
        name: {other for other in bodies if other != name and _reads(body["deps"], written[other])}
        for name, body in bodies.items()
    }

    def behind(name: str) -> set[str]:
        return reads[name].union(*(behind(other) for other in reads[name]))

    return [
        (other, name)
        for name in bodies
        for other in bodies
        if other in reads[name] and not any(other in behind(between) for between in reads[name])
    ]


def _reads(deps: list[str], outs: list[str]) -> bool:
    return any(_meet(dep, out) for dep in deps for out in outs)


def _meet(dep: str, out: str) -> bool:
    """Whether a path of ``deps`` is that of an output, or of a folder around it. A parameter stands for any name."""
    if dep.startswith("$"):  # a path that the user names
        return False
    parts = [re.sub(r"\$\{[^}]*\}", "*", path).split("/") for path in (dep, out)]
    return len(parts[0]) <= len(parts[1]) and all(one == other or "*" in (one, other) for one, other in zip(*parts))  # noqa: B905


def diagram(stages: dict[str, Any]) -> str:
    """The Mermaid source. A stage that exists only when parameters ask for it has a dashed border."""
    lines = ["```mermaid", "flowchart LR"]
    for name, stage in stages.items():
        each = OF_EACH.get(stage.get("foreach", ""), "")
        lines.append(f"  {name}[{name}{each}]" + ":::optional" * (each == "@method"))
    lines += [f"  {one} --> {other}" for one, other in arrows(stages)]
    return "\n".join([*lines, "  classDef optional stroke-dasharray: 4", "```"])


def main() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for page in PAGES:
        path = ROOT / page
        before, _, rest = path.read_text(encoding="utf-8").partition(START)
        after = rest.partition(END)[2]
        path.write_text(f"{before}{START}\n{diagram(stages)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
