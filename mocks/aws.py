"""Runs a Pulumi program with mocks, and returns the resources that it registered with their options.

Tests check what `run` returns: an assertion in an `apply` that nobody awaits never fails. A program that calls a
provider function fails its test, because a preview would then need AWS.
"""

import asyncio
import contextvars
import gc
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import pulumi
from google.protobuf import json_format
from pulumi.runtime import set_all_config
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.proto.source_pb2 import StackTrace
from pulumi.runtime.stack import Stack, run_pulumi_func

from settings.project_files import PROJECT

STACK_TYPE = "pulumi:pulumi:Stack"
# The outputs that AWS adds to a resource and that the program reads. Every resource also gets an id and an ARN.
COMPUTED: dict[str, dict[str, Any]] = {
    "aws:acm/certificate:Certificate": {
        "domainValidationOptions": [
            {
                "resourceRecordName": "_proof.example.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_value.acm.",
            }
        ]
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
    "aws:s3/bucket:Bucket": {
        "bucketDomainName": "b.s3.amazonaws.com",
        "bucketRegionalDomainName": "b.s3.us-east-1.amazonaws.com",
    },
}
# The property that an automatic name is assigned to, if it is not `name`.
NAME_PROPERTIES = {"aws:s3/bucket:Bucket": "bucket"}


@dataclass(frozen=True)
class Resource:
    """One resource, as the program registers it with the engine."""

    urn: str
    type: str
    name: str
    parent: str
    inputs: dict[str, Any]
    protect: bool
    dependencies: tuple[str, ...]
    property_dependencies: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass
class Run:
    """What one run of a program registered: its resources by URN, and its stack outputs."""

    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, Resource]:
        """Return the resources of a type such as `rds/instance:Instance`, by name."""
        return {resource.name: resource for resource in self.resources.values() if resource.type.endswith(kind)}

    def one(self, kind: str, name: str) -> Resource:
        """Return one resource by its type and name."""
        resources = self.of(kind)
        assert name in resources, f"no {kind} is named {name}; there are {sorted(resources)}"
        return resources[name]

    def security_group_rules(self, direction: str, group: str) -> list[Resource]:
        """Return the rules of a security group. direction: `Ingress` or `Egress`. group: its resource name."""
        kind = f"vpc/securityGroup{direction}Rule:SecurityGroup{direction}Rule"
        return [rule for rule in self.of(kind).values() if rule.inputs["securityGroupId"] == f"{group}-id"]

    def below(self, name: str) -> set[str]:
        """Return the URNs of a component and of all its descendants."""
        roots = {
            urn
            for urn, resource in self.resources.items()
            if resource.name == name and resource.type.startswith("hundredx:")
        }
        urns = set(roots)
        while children := {urn for urn, resource in self.resources.items() if resource.parent in urns} - urns:
            urns |= children
        return urns


class AwsMocks(Mocks):
    """Returns the outputs that AWS would. During a preview, outputs that AWS adds are unknown."""

    def __init__(self, *, preview: bool) -> None:
        """Remember whether this is a preview."""
        self.preview = preview

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        """Refuse to call a provider function."""
        message = f"The program calls {args.token}, so a preview would need AWS."
        raise AssertionError(message)

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        """Return a resource's id and outputs."""
        if self.preview:
            return None, {key: value for key, value in args.inputs.items() if key not in COMPUTED.get(args.typ, {})}
        automatic = {
            "arn": f"arn:aws:::{args.name}",
            NAME_PROPERTIES.get(args.typ, "name"): f"{args.name}-1a2b3c4",
        }
        inputs = {key: value for key, value in args.inputs.items() if value is not None}
        outputs = automatic | inputs | COMPUTED.get(args.typ, {})
        if "masterUserSecrets" in outputs:  # each database has a secret of its own
            secrets = [{"secretArn": f"{secret['secretArn']}-{args.name}"} for secret in outputs["masterUserSecrets"]]
            outputs["masterUserSecrets"] = secrets
        return f"{args.name}-id", outputs


class RecordingMonitor(MockMonitor):
    """Records what Pulumi's mocks hide: parent, protect and dependencies.

    Refuses two resources with the same URN, as the engine does.
    """

    def __init__(self, mocks: Mocks, stack: str) -> None:
        """Start with an empty run."""
        super().__init__(mocks)
        self.run, self.stack = Run(), stack

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """Return the URN that the engine would assign. It contains the types of all ancestors except for the stack."""
        parent_types = parent.split("::")[2] if parent else ""
        types = f"{parent_types}${type_}" if parent_types not in {"", STACK_TYPE} else type_
        return f"urn:pulumi:{self.stack}::{PROJECT}::{types}::{name}"

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        """Record one resource."""
        urn = self.make_urn(request.parent, request.type, request.name)
        assert urn not in self.run.resources, f"Two resources have the URN {urn}."
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call] # pulumi's is untyped
        if request.type != STACK_TYPE:
            inputs = pulumi.runtime.rpc.deserialize_properties(request.object)
            self.run.resources[urn] = Resource(
                urn,
                request.type,
                request.name,
                request.parent,
                dict(inputs),
                request.protect,
                tuple(sorted(request.dependencies)),
                {name: tuple(sorted(deps.urns)) for name, deps in request.propertyDependencies.items() if deps.urns},
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 the protocol's name
        """Record the stack's outputs."""
        if f"::{STACK_TYPE}::" in request.urn:
            self.run.outputs = json_format.MessageToDict(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call] # pulumi's is untyped


@contextmanager
def without_source_positions() -> Iterator[None]:
    """Skip what Pulumi collects for its error messages: the source position of every frame for each resource."""
    with patch("pulumi.runtime.resource._get_stack_trace", return_value=StackTrace()):
        yield


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause the garbage collector. Pulumi creates so many tasks and futures that it takes half the time of a run.

    What they leave is collected at once: their finalizers break Python's parser if they happen to run inside of it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.collect(0)  # everything that was created since `disable` is in the youngest generation
        gc.enable()


def run(
    program: Callable[[], object],
    *,
    stack: str = "alpha",
    config: dict[str, Any] | None = None,
    preview: bool = False,
    mocks: type[AwsMocks] = AwsMocks,
) -> Run:
    """Run a program and return what it registered. An exception of the program is raised here.

    The program is told that AWS is emulated, because no call leaves this process.
    """

    def run_in_context() -> Run:
        recorder = RecordingMonitor(mocks(preview=preview), stack)
        set_all_config(
            {key: value if isinstance(value, str) else json.dumps(value) for key, value in (config or {}).items()}
        )
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            set_mocks(recorder.mocks, project=PROJECT, stack=stack, preview=preview, monitor=recorder)

            def program_with_outputs() -> None:
                program()
                root = pulumi.runtime.get_root_resource()
                assert isinstance(root, Stack)
                root.register_outputs(root.outputs)

            loop.run_until_complete(run_pulumi_func(program_with_outputs))
        finally:
            loop.close()
            asyncio.set_event_loop(None)
        return recorder.run

    no_aws = patch.dict(os.environ, {"AWS_ENDPOINT_URL": "http://127.0.0.1"})
    with no_aws, without_source_positions(), without_garbage_collection():
        return contextvars.copy_context().run(run_in_context)
