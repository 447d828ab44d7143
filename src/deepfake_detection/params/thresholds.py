"""The rules that can set a threshold in the parameters. It imports little, because every stage imports it."""

import math
import re


def parse_rule(rule: object) -> float | str:
    """Returns ``rule`` if it is valid: a number in (0, 1), ``youden`` or ``fpr@x`` with x in (0, 1).

    Raises ValueError for anything else, which lets pydantic call it (BeforeValidator).
    """
    if isinstance(rule, int | float) and not isinstance(rule, bool) and 0 < rule < 1:
        return float(rule)
    if isinstance(rule, str) and (rule == "youden" or 0 < fpr_limit(rule) < 1):
        return rule
    raise ValueError(f"must be a number between 0 and 1, youden, or fpr@x with x between 0 and 1; found {rule!r}")


def fpr_limit(rule: str) -> float:
    """The x of ``fpr@x``, or NaN for another rule."""
    number = re.fullmatch(r"fpr@(\d*\.?\d+(?:e-?\d+)?)", rule)
    return float(number[1]) if number else math.nan
