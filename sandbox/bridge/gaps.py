"""What the sandbox leaves out because the emulator cannot do it. The user gets one warning for each.

List an argument only if no patch of the emulator (sandbox/emulator/patches) can support it. AWS supports all of them.
"""

# Terraform type -> argument in Pulumi's spelling -> reason.
UNSUPPORTED_ARGUMENTS: dict[str, dict[str, str]] = {}
