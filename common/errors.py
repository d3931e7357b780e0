"""The errors that the command line reports without a traceback."""


class InfraError(Exception):
    """Something the user can fix. The text names the object, says what went wrong and what to do next."""


class SandboxError(InfraError):
    """An error of the sandbox itself, such as an emulator that stopped or a tool that cannot be installed."""
