"""Messages of the sandbox: the functions of common.console with the prefix `sandbox:`."""

from functools import partial

from common import console

say = partial(console.say, source="sandbox")
progress = partial(console.progress, source="sandbox")
