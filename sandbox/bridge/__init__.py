"""A replacement for pulumi-resource-aws, for machines on which the official plugin cannot be installed.

It speaks Pulumi's provider protocol on one side. On the other, it drives Terraform's AWS provider, which the official
plugin also wraps. It accepts only an AWS endpoint on this machine, see `configuration.require_emulator`.
"""
