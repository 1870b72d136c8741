"""What the twin raises."""


class TwinError(Exception):
    """Bad input. The text names the file and the field, or the argument, and what it should be."""
