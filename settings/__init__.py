"""What a person may write in Pulumi.<environment>.yaml: models, reading, and every problem told at once.

Imports neither pulumi nor anything of ours but the plain descriptions of services (components/spec.py), so that
`./infra check` needs no engine, no network and no credentials.
"""

from settings.check import check_folder, settings_of_stack, value_of
from settings.problems import Problem, SettingsError

__all__ = ["Problem", "SettingsError", "check_folder", "settings_of_stack", "value_of"]
