"""Probabilities as a person reads them."""


def percent(probability: float, digits: int = 1) -> str:
    """In percent, never a certain 0% or 100%: "<0.1%" and ">99.9%" where the digits do not tell it from that."""
    least = 10.0 ** -(digits + 2)
    if probability < least / 2:
        return f"<{least:.{digits}%}"
    if probability > 1 - least / 2:
        return f">{1 - least:.{digits}%}"
    return f"{probability:.{digits}%}"
