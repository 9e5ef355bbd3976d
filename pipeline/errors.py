"""The one error a user sees."""


class RedefectError(Exception):
    """What went wrong, in one sentence: where (file, line or row), what, and what to do about it.

    The command line prints it and exits with 1; nothing else is ever shown of a failure, so the sentence
    must be enough to act on.
    """
