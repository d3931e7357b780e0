"""`python -m cli`: the entry point that the `./infra` script starts."""

import sys

from cli.app import app
from cli.exit_codes import ExitCode
from common.console import say
from common.errors import InfraError, SandboxError


def main() -> int:
    """Run one command. What the user can fix is reported without a traceback."""
    try:
        app(prog_name="./infra")
    except SandboxError as error:
        say(str(error), "sandbox")
        return ExitCode.FAILED
    except InfraError as error:
        say(str(error))
        return ExitCode.FAILED
    except UnicodeDecodeError as error:
        say(
            f"a file is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8. To see which one:\n"
            "  ./infra check"
        )
        return ExitCode.FAILED
    except OSError as error:
        say(f"{error.strerror}: {error.filename}. Fix this, then run the same command again.")
        return ExitCode.FAILED
    except KeyboardInterrupt:
        say("interrupted. Run the same command again to continue.")
        return ExitCode.INTERRUPTED
    return ExitCode.SUCCESS


sys.exit(main())
