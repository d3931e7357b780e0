"""What the sandbox does not pass on, because the emulator lacks it; each is told to the user, once a run.

Only what no patch of the emulator (sandbox/emulator/patches.py) can close stands here. In a real environment all of it is made.
"""

# Terraform type -> argument -> why.
DROPPED: dict[str, dict[str, str]] = {}

# Provider settings that name credentials: in the sandbox they come from the sandbox alone.
CREDENTIAL_SETTINGS = {
    "accessKey",
    "secretKey",
    "token",
    "profile",
    "sharedConfigFiles",
    "sharedCredentialsFiles",
    "assumeRoles",
    "assumeRoleWithWebIdentity",
    "endpoints",
    "ec2MetadataServiceEndpoint",
}
