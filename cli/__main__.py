"""`python -m cli`: what ./infra hands over to."""

import sys

from cli.app import app
from sandbox.errors import SandboxError

INTERRUPTED = 130  # what shells use for a command ended by Ctrl-C


def main() -> int:
    """Run one command; what the user can mend is told without a traceback."""
    try:
        app(prog_name="./infra")
    except SandboxError as error:
        sys.stderr.write(f"infra: {error}\n")
        return 1
    except UnicodeDecodeError as error:
        sys.stderr.write(f"infra: a file is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8. `./infra check` says which.\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"infra: {error.strerror}: {error.filename}. Nothing was lost; mend it and run the same command again.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("infra: stopped. Nothing was lost; the same command goes on.\n")
        return INTERRUPTED
    return 0


sys.exit(main())
