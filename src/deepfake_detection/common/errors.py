"""The error for mistakes that a user can fix."""


class UserError(Exception):
    """A mistake that the user can fix. The message is one line: what is wrong, where, and what to do."""
