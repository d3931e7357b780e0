"""The gate as a Pulumi policy pack, for people who run plain Pulumi."""
