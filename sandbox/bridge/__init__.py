"""pulumi-resource-aws for machines that cannot have the official plugin.

It speaks Pulumi's provider protocol on one side and drives Terraform's AWS provider, which the official plugin also wraps,
on the other. It only ever talks to an AWS endpoint on this machine: see `provider.Aws.Configure`.
"""
