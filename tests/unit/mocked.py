"""Runs a Pulumi program with mocks and returns what it registered, options included.

What is awaited here fails a test; an assertion in an `apply` that nobody awaits would not. An invoke fails the test: the
program makes none, so that a preview needs no AWS.
"""

import asyncio
import contextvars
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
from google.protobuf import json_format
from pulumi.runtime import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.stack import Stack, run_pulumi_func

ACCOUNT = "111111111111"
# What AWS adds to a resource, for the types whose additions the program reads. Others get an id and an ARN.
COMPUTED: dict[str, dict[str, Any]] = {
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [{"resourceRecordName": "_proof.example.", "resourceRecordType": "CNAME", "resourceRecordValue": "_value.acm."}]
    },
    "aws:ec2/vpc:Vpc": {"ipv6CidrBlock": "2600:1f18:1234:5600::/56"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 7},
    "aws:lb/loadBalancer:LoadBalancer": {"dnsName": "lb.elb.amazonaws.com", "zoneId": "ZLB", "arnSuffix": "app/lb/1"},
    "aws:lb/targetGroup:TargetGroup": {"arnSuffix": "targetgroup/tg/1"},
    "aws:rds/instance:Instance": {
        "address": "database.rds.amazonaws.com",
        "port": 5432,
        "identifier": "database-1a2b3c4",
        "masterUserSecrets": [{"secretArn": "arn:aws:secretsmanager:::secret:rds"}],
    },
    "aws:route53/zone:Zone": {"zoneId": "ZZONE", "nameServers": ["ns-1.example", "ns-2.example"]},
    "aws:cloudfront/distribution:Distribution": {"domainName": "d1.cloudfront.net", "hostedZoneId": "ZCDN"},
    "aws:sesv2/emailIdentity:EmailIdentity": {"dkimSigningAttributes": {"tokens": ["one", "two", "three"]}},
    "aws:s3/bucket:Bucket": {"bucketDomainName": "b.s3.amazonaws.com", "bucketRegionalDomainName": "b.s3.us-east-1.amazonaws.com"},
}
NAMED = {"aws:s3/bucket:Bucket": "bucket"}  # the property that an automatic name lands in, where it is not `name`


@dataclass(frozen=True)
class Registered:
    """One resource as the engine would be told of it."""

    urn: str
    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    protect: bool
    dependencies: tuple[str, ...]


@dataclass
class Run:
    """What a program registered, by URN, and its stack outputs."""

    resources: dict[str, Registered] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, Registered]:
        """Return the resources of a type such as `rds/instance:Instance`, by name."""
        return {resource.name: resource for resource in self.resources.values() if resource.type.endswith(kind)}

    def one(self, kind: str, name: str) -> Registered:
        """Return one resource; the error names those that are there."""
        found = self.of(kind)
        assert name in found, f"no {kind} named {name}; there are {sorted(found)}"
        return found[name]

    def below(self, name: str) -> set[str]:
        """Return the URNs of a component and of all that has it as an ancestor."""
        roots = {urn for urn, resource in self.resources.items() if resource.name == name and resource.type.startswith("hundredx:")}
        found = set(roots)
        while grown := {urn for urn, resource in self.resources.items() if resource.parent in found} - found:
            found |= grown
        return found


class Canned(Mocks):
    """Answers as AWS would; knows nothing while previewing."""

    def __init__(self, *, preview: bool) -> None:
        """Keep the mode."""
        self.preview = preview

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Refuse an invoke."""
        message = f"the program calls {args.token}: a preview would need AWS for it"
        raise AssertionError(message)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Return an id and the outputs."""
        if self.preview:  # what AWS adds is not known yet
            return None, {key: value for key, value in args.inputs.items() if key not in COMPUTED.get(args.typ, {})}
        name_key = NAMED.get(args.typ, "name")
        given = {key: value for key, value in args.inputs.items() if value is not None}
        return f"{args.name}-id", {"arn": f"arn:aws:::{args.name}", name_key: f"{args.name}-1a2b3c4"} | given | COMPUTED.get(args.typ, {})


class Recorder(MockMonitor):
    """Sees what the mocks hide: parent, protect, dependencies; refuses two resources of one URN, as the engine does."""

    def __init__(self, mocks: Mocks, stack: str) -> None:
        """Start with nothing."""
        super().__init__(mocks)
        self.run, self.stack = Run(), stack

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN that the engine would give: with the types of all ancestors, the stack's own aside."""
        above = parent.split("::")[2] if parent else ""
        chain = f"{above}${type_}" if above and above != "pulumi:pulumi:Stack" else type_
        return f"urn:pulumi:{self.stack}::100xglobal::{chain}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        """Record one registration."""
        urn = self.make_urn(request.parent, request.type, request.name)
        assert urn not in self.run.resources, f"two resources have the URN {urn}"
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call] # pulumi's is untyped
        if request.type != "pulumi:pulumi:Stack":
            inputs = pulumi.runtime.rpc.deserialize_properties(request.object)
            self.run.resources[urn] = Registered(urn, request.type, request.name, request.parent, dict(inputs), request.protect, tuple(sorted(request.dependencies)))
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        """Record the stack's outputs."""
        if "::pulumi:pulumi:Stack::" in request.urn:
            self.run.outputs = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call] # pulumi's is untyped


def run(program: Callable[[], object], *, stack: str = "alpha", config: dict[str, Any] | None = None, preview: bool = False) -> Run:
    """Run a program to its end and return what it registered; what the program raises is raised here."""

    def inside() -> Run:
        recorder = Recorder(Canned(preview=preview), stack)
        set_all_config({key: value if isinstance(value, str) else json.dumps(value) for key, value in (config or {}).items()})
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            set_mocks(recorder.mocks, project="100xglobal", stack=stack, preview=preview, monitor=recorder)

            def body() -> None:
                program()
                root = pulumi.runtime.get_root_resource()
                assert isinstance(root, Stack)
                root.register_outputs(root.outputs)

            loop.run_until_complete(run_pulumi_func(body))
        finally:
            loop.close()
            asyncio.set_event_loop(None)
        return recorder.run

    return contextvars.copy_context().run(inside)
