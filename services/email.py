"""Email: takes mail in over SMTP at `email.`, and sends through SES."""

from components.spec import OwnNetworkBalancer, ServiceSpec

SERVICE = ServiceSpec(
    name="email",
    host="email",
    balancer=OwnNetworkBalancer(ports=(25, 465, 587)),
    sends_mail=True,
)
