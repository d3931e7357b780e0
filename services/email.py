"""Email: receives mail over SMTP at `email.` and sends it through SES."""

from settings.service_spec import DedicatedNetworkLoadBalancer, ServiceSpec

SERVICE = ServiceSpec(
    name="email",
    host="email",
    balancer=DedicatedNetworkLoadBalancer(ports=(25, 465, 587), tls_ports=(465,)),
    sends_mail=True,
)
