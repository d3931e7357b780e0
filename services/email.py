"""Email: receives mail over SMTP at `email.` and sends it through SES."""

from settings.service_spec import DedicatedNetworkLoadBalancer, ServiceSpec

SERVICE = ServiceSpec(
    name="email",
    host="email",
    balancer=DedicatedNetworkLoadBalancer(ports=(25, 465, 587)),
    sends_mail=True,
)
