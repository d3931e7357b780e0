"""Rules for services that share hosts and the shared load balancer: every request must reach exactly one service."""

import itertools
from collections.abc import Iterator, Mapping

from settings.problems import Rule, Violation
from settings.service_spec import ServiceSpec, SharedLoadBalancerRule

HIGHEST_PRIORITY = 50000  # Elastic Load Balancing API reference, CreateRule: 1 to 50000

Specs = Mapping[str, ServiceSpec]


def check_routing(specs: Specs) -> Iterator[Violation]:
    """Yield services that would receive each other's requests, or none. specs: the environment's enabled services."""
    specs = dict(sorted(specs.items()))
    yield from _check_priorities(specs)
    yield from _check_routes(specs)
    yield from _check_records(specs)
    yield from _check_redirects(specs)
    yield from _check_reachability(specs)


def _violation(service: str, rule: Rule, message: str) -> Violation:
    """Return a violation of a service's spec: its location in the environment file is the service's block."""
    return Violation(("services", service), rule, message)


def _check_priorities(specs: Specs) -> Iterator[Violation]:
    """Yield priorities that AWS does not allow or that two listener rules have."""
    services: dict[int, str] = {}
    for name, spec in specs.items():
        if not isinstance(spec.balancer, SharedLoadBalancerRule):
            continue
        first = spec.balancer.priority
        last = first + len(spec.redirects)  # each redirect is a listener rule of its own, with the next priority
        if last > HIGHEST_PRIORITY:
            message = (
                f"has the rule priority {first} (services/{name}.py), and each redirect takes the next one. "
                f"AWS allows 1 to {HIGHEST_PRIORITY}."
            )
            yield _violation(name, Rule.INVALID_PRIORITY, message)
        for priority in range(first, last + 1):
            if priority in services:
                message = (
                    f"has the rule priority {priority} (services/{name}.py), which {services[priority]} already has. "
                    "AWS refuses the second rule. Choose another priority."
                )
                yield _violation(name, Rule.DUPLICATE_PRIORITY, message)
            services.setdefault(priority, name)


def _check_routes(specs: Specs) -> Iterator[Violation]:
    """Yield services that have the same host and path."""
    services: dict[tuple[str, str | None], str] = {}
    for name, spec in specs.items():
        path = spec.balancer.path if isinstance(spec.balancer, SharedLoadBalancerRule) else None
        other = services.setdefault((spec.host, path), name)
        if other != name:
            message = (
                f"has the same host and path as {other} (services/{name}.py), so one of the two would never receive "
                "a request. Change the host or the path."
            )
            yield _violation(name, Rule.DUPLICATE_ROUTE, message)


def _check_records(specs: Specs) -> Iterator[Violation]:
    """Yield hosts whose record two services create, or none."""
    owners: dict[str, str] = {}
    for name, spec in specs.items():
        hosts = spec.hosts()
        for host in sorted({host for host in hosts if hosts.count(host) > 1}):
            message = (
                f"would create the record for {_display(host)} twice. Its host, its redirects and its CDN's host must "
                f"differ (services/{name}.py)."
            )
            yield _violation(name, Rule.DUPLICATE_RECORD, message)
        for host in hosts:
            owner = owners.setdefault(host, name)
            if owner != name:
                message = (
                    f"would create a record for {_display(host)}, as {owner} does. Only one service can own a host: "
                    f"change the host or set owns_host=False (services/{name}.py)."
                )
                yield _violation(name, Rule.DUPLICATE_RECORD, message)
    for name, spec in specs.items():
        if spec.host not in owners:
            message = (
                f"has {_display(spec.host)}, but the service that owns this host is disabled here, so no record would "
                f"point to it. Enable the owner or disable {name}."
            )
            yield _violation(name, Rule.HOST_WITHOUT_OWNER, message)


def _check_redirects(specs: Specs) -> Iterator[Violation]:
    """Yield redirects that no load balancer performs, or whose host no certificate covers."""
    for name, spec in specs.items():
        if not spec.redirects:
            continue
        if not isinstance(spec.balancer, SharedLoadBalancerRule):
            message = (
                f"has redirects, but a dedicated load balancer, which redirects nothing (services/{name}.py). "
                "Remove the redirects or use a SharedLoadBalancerRule."
            )
            yield _violation(name, Rule.IMPOSSIBLE_REDIRECT, message)
        elif spec.host:
            message = (
                f"redirects {spec.redirects[0]}.{spec.host}, which is two levels below the environment's domain. The "
                f"certificate covers one level, so browsers would refuse the host. Remove it (services/{name}.py)."
            )
            yield _violation(name, Rule.IMPOSSIBLE_REDIRECT, message)


def _check_reachability(specs: Specs) -> Iterator[Violation]:
    """Yield services on a shared host that another service's rule or load balancer hides."""
    for (name, spec), (other_name, other) in itertools.permutations(specs.items(), 2):
        if spec.host != other.host:
            continue
        rule, other_rule = spec.balancer, other.balancer
        if not isinstance(rule, SharedLoadBalancerRule) or not isinstance(other_rule, SharedLoadBalancerRule):
            if name < other_name:  # report the pair once
                message = (
                    f"has the same host as {other_name}, but one of the two has a dedicated load balancer. A host can "
                    f"only point to one load balancer. Change the host (services/{name}.py)."
                )
                yield _violation(name, Rule.HOST_ON_TWO_LOAD_BALANCERS, message)
        elif _hides(other_rule, rule):
            message = (
                f"has the rule priority {rule.priority} (services/{name}.py). The rule of {other_name} is evaluated "
                f"first and matches {other_rule.path or 'every path'}, so this one would never match. "
                f"Choose a priority below {other_rule.priority}."
            )
            yield _violation(name, Rule.UNREACHABLE_RULE, message)


def _hides(earlier: SharedLoadBalancerRule, later: SharedLoadBalancerRule) -> bool:
    """Tell whether a rule matches every request of another rule, before that one is evaluated."""
    return (
        later.path is not None
        and earlier.priority < later.priority
        and f"{later.path}/".startswith(f"{earlier.path or ''}/")
    )


def _display(host: str) -> str:
    """Return a host as a message names it."""
    return f"the host `{host}`" if host else "the environment's domain"
