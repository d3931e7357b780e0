"""What an environment file may contain: the models, the checks that need no AWS account, and their documentation.

Nothing here imports pulumi, so that `./infra check` needs no engine, no network and no credentials. This package module
stays empty: other packages import `settings.project_files`, and must not load pydantic for it.
"""
