"""The one error of the sandbox."""


class SandboxError(Exception):
    """Something that the user can mend; the text names the object, what went wrong and the way out."""
