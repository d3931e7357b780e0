"""Payments: `members.` below /payments, with its own servers, database, role and key."""

from settings.service_spec import ServiceSpec, SharedLoadBalancerRule

SERVICE = ServiceSpec(
    name="payments",
    host="members",
    owns_host=False,  # members creates the record
    balancer=SharedLoadBalancerRule(priority=100, path="/payments"),  # before members, whose rule takes every path
)
