"""How many groups stand behind an interval, in words. Light, for the report."""

FEW_GROUPS = 20  # fewer say little about the spread between groups


def group_count(groups: int) -> str:
    """The number of groups behind an interval: "40 groups", or "9 groups: too few groups" below 20."""
    return f"{groups} groups" if groups >= FEW_GROUPS else f"{groups} group{'s' * (groups != 1)}: too few groups"
