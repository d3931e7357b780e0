"""The commands of `./infra`. They assist plain Pulumi and never get in its way: the program imports none of them."""
