"""What a user can mend."""


class UserError(Exception):
    """A mistake that the user can mend: one line saying what is wrong, where, and what to do."""
