"""Intent: exactly what follows from the configuration that differs is expected, judged with the reviewed data."""

import base64
import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from release.changes import UNKNOWN, canonical
from release.intent import Intent, read_intent
from release.stack_state import Update
from settings.project_files import ENVIRONMENT_KEY
from tests.unit.gate_builders import (
    GROUP_NAME,
    TEMPLATE_NAME,
    Config,
    Edit,
    Scenario,
    beta_config,
    block,
    deployed_state,
    make_scenario,
)
from tests.unit.release_builders import NOW, PAYMENTS, child_urn, make_state

SUBNET_GROUP, INGRESS = "aws:rds/subnetGroup:SubnetGroup", "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
RULE_NAME = "events-servers-rule"
Tamper = Callable[[Scenario], object]


# --- edits of the environment file


def new_release(config: Config) -> None:
    """Release another version of members, with another image, machine image and environment variables."""
    release = block(config)["release"]
    release |= {"version": "1.5.0", "machine_image": "ami-0fedcba9876543210"}
    release["image"] = release["image"].replace("2222", "9999")
    release["environment_variables"] = {"SIGN_UP": "closed", "LIMIT": "5"}


def more_servers(config: Config) -> None:
    """Let members run more servers."""
    block(config)["sizing"]["instances"]["maximum"] = 5


def enable_events(config: Config) -> None:
    """Add the service events."""
    block(config, "events")["enabled"] = True


def disable_socket(config: Config) -> None:
    """Remove the service socket."""
    block(config, "socket")["enabled"] = False


def set_environment(**values: Any) -> Edit:
    """Return an edit of the environment: a group of fields, and its new values."""

    def edit(config: Config) -> None:
        for group, fields in values.items():
            config[ENVIRONMENT_KEY].setdefault(group, {}).update(fields)

    return edit


def set_sizing(service: str = "members", **values: Any) -> Edit:
    """Return an edit of a service's sizing."""
    return lambda config: block(config, service)["sizing"].update(values)


def set_database(**values: Any) -> Edit:
    """Return an edit of the sizing of members' database."""
    return lambda config: block(config)["sizing"]["database"].update(values)


def major_upgrade(config: Config) -> None:
    """Upgrade the database of members to another major version."""
    block(config)["release"]["database_engine"] = "17.11"
    block(config)["sizing"]["database"]["allow_major_upgrade"] = True


HONEST_EDITS: dict[str, Edit] = {
    "a release": new_release,
    "more servers": more_servers,
    "more servers of a network load balancer": set_sizing("email", instances={"minimum": 3, "maximum": 6}),
    "an instance type": set_sizing(instance_type="t4g.medium"),
    "a disk": set_sizing(disk_gb=50),
    "a database class": set_database(**{"class": "db.t4g.large"}),
    "more storage": set_database(storage_gb=80),
    "no standby": set_database(multi_az=False),
    "a database engine": lambda config: block(config)["release"].update(database_engine="16.10"),
    "a major upgrade": major_upgrade,
    "a websocket timeout": lambda config: block(config, "socket")["release"]["websocket"].update(
        idle_timeout_seconds=180
    ),
    "a new service": enable_events,
    "a removed service": disable_socket,
    "longer logs": set_environment(operations={"log_days": 180}),
    "another alarm address": set_environment(
        operations={"alarm_emails": ["operations@100xglobal.com", "second@100xglobal.com"]}
    ),
    "another repository": set_environment(operations={"github_repository": "100xglobal/other"}),
    "longer backups": set_environment(durability={"backup_days": 20}),
    "no protection": set_environment(durability={"protect_data": False}),
    "another zone": set_environment(network={"zones": ["us-east-1a", "us-east-1b", "us-east-1c"]}),
    "more NAT gateways": set_environment(network={"nat": "per_zone"}),
    "fewer endpoints": set_environment(network={"interface_endpoints": ["ssm"]}),
    "fewer clients": set_environment(access={"allow": ["198.51.100.0/24"]}),
    "a delegation": set_environment(dns={"delegations": {"lab": ["ns1.example.net", "ns2.example.net"]}}),
}


@pytest.mark.parametrize("name", HONEST_EDITS)
def test_what_the_program_does_with_an_edit_is_expected(name: str) -> None:
    """Nobody has to approve what the program derives from a field of the environment file."""
    scenario = make_scenario(HONEST_EDITS[name])
    assert any(step["op"] != "same" for step in scenario.steps.values())
    assert scenario.unexpected() == []


@pytest.mark.parametrize("services", [["socket"], ["email"], ["payments"], ["members", "payments"]])
def test_every_kind_of_service_can_be_added(services: list[str]) -> None:
    """With a shared or a dedicated load balancer, a path of its own, a database, a CDN or mail."""

    def enable(config: Config, *, enabled: bool) -> None:
        for service in services:
            block(config, service)["enabled"] = enabled

    scenario = make_scenario(
        lambda config: enable(config, enabled=True), before=lambda config: enable(config, enabled=False)
    )
    assert read_intent(scenario.deployed, scenario.config).enabled == set(services)
    assert scenario.unexpected() == []


def test_without_an_edit_nothing_changes_and_nothing_is_expected() -> None:
    """Any change would then be unexpected."""
    scenario = make_scenario()
    assert {step["op"] for step in scenario.steps.values()} == {"same"}
    assert read_intent(scenario.deployed, scenario.config).owners() == set()
    scenario.change(GROUP_NAME, maxSize=9)
    assert scenario.unexpected_properties() == {(GROUP_NAME, "maxSize")}


# --- releases


def test_a_release_changes_exactly_the_launch_template_and_its_version() -> None:
    """Its image, machine image, version and variables reach the template; the group uses the new version of it."""
    scenario = make_scenario(new_release)
    assert {name for (name, _), step in scenario.steps.items() if step["op"] != "same"} == {TEMPLATE_NAME, GROUP_NAME}


def edit_script(scenario: Scenario, old: str, new: str) -> None:
    """Replace a text in the start script of the servers of members."""
    step = scenario.step(TEMPLATE_NAME)
    script = base64.b64decode(step["newState"]["inputs"]["userData"]).decode()
    assert old in script
    scenario.change(TEMPLATE_NAME, userData=base64.b64encode(script.replace(old, new).encode()).decode())


def set_variable(name: str, value: str) -> Tamper:
    """Return a change of one environment variable of the servers of members."""

    def tamper(scenario: Scenario) -> None:
        step = scenario.step(TEMPLATE_NAME)
        lines = base64.b64decode(step["newState"]["inputs"]["userData"]).decode().splitlines()
        (index,) = (index for index, line in enumerate(lines) if line.endswith("> /etc/service.env"))
        content = base64.b64decode(lines[index].split()[1]).decode() + f"{name}={value}\n"
        lines[index] = f"echo {base64.b64encode(content.encode()).decode()} | base64 -d > /etc/service.env"
        scenario.change(TEMPLATE_NAME, userData=base64.b64encode("\n".join(lines).encode()).decode())

    return tamper


def reparent(scenario: Scenario) -> None:
    """Let payments' group claim that it belongs to members, and grow."""
    step = scenario.change("payments-servers-group", maxSize=9)
    step["newState"]["parent"] = scenario.step(GROUP_NAME)["newState"]["parent"]


def replace_database(scenario: Scenario) -> None:
    """Replace the database for no reason."""
    scenario.step("members-database-instance").update(op="replace")


RULE_FOR_EVERYONE = {"cidrIpv4": "0.0.0.0/0", "ipProtocol": "tcp", "fromPort": 5432, "toPort": 5432}
MEMBERS_ROOT = "members", "hundredx:components:ServiceEnvironment"
# What rides along with a release or with more servers: what it does, and the names of the resources it concerns.
SABOTAGES: dict[str, tuple[Tamper, set[str]]] = {
    "a privileged container": (
        lambda scenario: edit_script(scenario, "docker run", "docker run --privileged"),
        {TEMPLATE_NAME},
    ),
    "another image than the release's": (
        lambda scenario: edit_script(scenario, "sha256:9999", "sha256:6666"),
        {TEMPLATE_NAME},
    ),
    "a variable that is not the release's": (set_variable("DEBUG", "1"), {TEMPLATE_NAME}),
    "another value of a variable": (set_variable("LIMIT", "500"), {TEMPLATE_NAME}),
    "an unchanged variable": (set_variable("DATABASE_HOST", "stranger.example"), {TEMPLATE_NAME}),
    "an unknown start script": (lambda scenario: scenario.change(TEMPLATE_NAME, userData=UNKNOWN), {TEMPLATE_NAME}),
    "another machine image than the release's": (
        lambda scenario: scenario.change(TEMPLATE_NAME, imageId="ami-66666666666666666"),
        {TEMPLATE_NAME},
    ),
    "an unknown machine image": (
        lambda scenario: scenario.change(TEMPLATE_NAME, imageId=UNKNOWN),
        {TEMPLATE_NAME},
    ),
    "another property of the template": (
        lambda scenario: scenario.change(TEMPLATE_NAME, metadataOptions={"httpTokens": "optional"}),
        {TEMPLATE_NAME},
    ),
    "a number that is not the field's": (lambda scenario: scenario.change(GROUP_NAME, maxSize=50), {GROUP_NAME}),
    "an unknown number": (lambda scenario: scenario.change(GROUP_NAME, maxSize=UNKNOWN), {GROUP_NAME}),
    "a version of another launch template": (
        lambda scenario: scenario.change(GROUP_NAME, launchTemplate={"id": "lt-other", "version": UNKNOWN}),
        {GROUP_NAME},
    ),
    "another service": (
        lambda scenario: scenario.change("payments-servers-group", maxSize=5),
        {"payments-servers-group"},
    ),
    "another service's resource that claims to belong here": (reparent, {"payments-servers-group"}),
    "the foundation": (
        lambda scenario: scenario.change("network-vpc", enableDnsSupport=False),
        {"network-vpc"},
    ),
    "a new resource": (
        lambda scenario: scenario.add("members-open", INGRESS, scenario.step(*MEMBERS_ROOT)["urn"], RULE_FOR_EVERYONE),
        {"members-open"},
    ),
    "a second component of the same name": (
        lambda scenario: scenario.add("members", INGRESS, PAYMENTS, RULE_FOR_EVERYONE),
        {"members"},
    ),
    "a deleted alarm": (lambda scenario: scenario.delete("members-servers-errors"), {"members-servers-errors"}),
    "a replaced database": (replace_database, {"members-database-instance"}),
    "a resource that loses its protection": (
        lambda scenario: scenario.step("members-key", "aws:kms")["newState"].pop("protect"),
        {"members-key"},
    ),
    "ignored changes": (
        lambda scenario: scenario.step(TEMPLATE_NAME)["newState"].update(ignoreChanges=["imageId"]),
        {TEMPLATE_NAME},
    ),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_what_rides_along_with_an_edit_is_unexpected(name: str) -> None:
    """Not even in the service whose configuration differs, and not even in a property that differs anyway."""
    tamper, resources = SABOTAGES[name]

    def edit(config: Config) -> None:
        new_release(config)
        more_servers(config)

    scenario = make_scenario(edit)
    tamper(scenario)
    assert {change for change, _ in scenario.unexpected_properties()} == resources


def test_an_unknown_value_is_expected_if_it_comes_from_a_resource_that_is_expectedly_replaced() -> None:
    """Otherwise nobody can tell what it will be."""
    scenario = make_scenario(set_environment(network={"cidr": "10.30.0.0/16"}))
    scenario.step("network-vpc")["op"] = "replace"
    properties = scenario.step("network-public-a")["newState"]["propertyDependencies"]
    assert properties["vpcId"] == [scenario.step("network-vpc")["urn"]]
    scenario.change("network-public-a", vpcId=UNKNOWN)
    assert ("network-public-a", "vpcId") not in scenario.unexpected_properties()
    scenario.change("network-public-a", mapPublicIpOnLaunch=UNKNOWN)
    assert ("network-public-a", "mapPublicIpOnLaunch") in scenario.unexpected_properties()


def test_a_resource_is_replaced_as_expected_only_because_of_expected_changes() -> None:
    """One unexpected property makes the whole replacement unexpected."""
    scenario = make_scenario(set_environment(network={"cidr": "10.30.0.0/16"}))
    scenario.step("network-vpc")["op"] = "replace"
    assert not {name for name in scenario.unexpected_properties() if name[0] == "network-vpc"}
    scenario.change("network-vpc", instanceTenancy="dedicated")
    assert ("network-vpc", "") in scenario.unexpected_properties()


def test_an_entry_of_a_list_brings_its_own_resources_only() -> None:
    """An added delegation brings no record of another label."""
    scenario = make_scenario(set_environment(dns={"delegations": {"lab": ["ns1.example.net", "ns2.example.net"]}}))
    record = scenario.step("zone-to-lab")["newState"]
    scenario.add("zone-to-shop", "aws:route53/record:Record", record["parent"], record["inputs"])
    assert {name for name, _ in scenario.unexpected_properties()} == {"zone-to-shop"}


# --- new and removed services


def add_to_events(scenario: Scenario) -> None:
    """Create a resource in events that no service has."""
    root = scenario.step("events", "hundredx:components:ServiceEnvironment")["urn"]
    scenario.add("events-user", "aws:iam/user:User", root, {"name": "events"})


def refer_to(service: str) -> Tamper:
    """Return a change that lets the new service's rule lead to the target group of another one."""

    def tamper(scenario: Scenario) -> None:
        target_group = scenario.step(f"{service}-servers-http", "aws:lb/targetGroup")["urn"]
        scenario.step(RULE_NAME)["newState"]["propertyDependencies"]["actions"] = [target_group]

    return tamper


def move_rule(scenario: Scenario) -> None:
    """Create the new service's rule below another component of the service."""
    scenario.step(RULE_NAME)["newState"]["parent"] = scenario.step("events", "hundredx:")["urn"]


NEW_SERVICE_SABOTAGES: dict[str, tuple[Tamper, set[str]]] = {
    "another input": (lambda scenario: scenario.change(RULE_NAME, priority=1), {RULE_NAME}),
    "one more input": (lambda scenario: scenario.change("events-key", multiRegion=True), {"events-key"}),
    "another host": (
        lambda scenario: scenario.change(
            RULE_NAME, conditions=[{"hostHeader": {"values": ["core.beta.100xglobal.com"]}}]
        ),
        {RULE_NAME},
    ),
    "an additional resource": (add_to_events, {"events-user"}),
    "another parent": (move_rule, {RULE_NAME}),
    "another service's target group": (refer_to("core"), {RULE_NAME}),
    "a known value where a reference should be": (
        lambda scenario: scenario.change(RULE_NAME, listenerArn="arn:aws:elasticloadbalancing:::listener/stranger"),
        {RULE_NAME},
    ),
    "an option": (
        lambda scenario: scenario.step(RULE_NAME)["newState"].update(retainOnDelete=True),
        {RULE_NAME},
    ),
    "another instance type than its sizing's": (
        lambda scenario: scenario.change("events-servers-template", instanceType="p5.48xlarge"),
        {"events-servers-template"},
    ),
}


@pytest.mark.parametrize("name", NEW_SERVICE_SABOTAGES)
def test_a_new_service_creates_only_what_services_of_its_kind_have(name: str) -> None:
    """Every input, parent and reference is compared with the reviewed data; the whole resource needs an approval."""
    tamper, resources = NEW_SERVICE_SABOTAGES[name]
    scenario = make_scenario(enable_events)
    tamper(scenario)
    assert {change for change, _ in scenario.unexpected_properties()} == resources


def test_a_new_service_may_use_what_exists() -> None:
    """The ARN of the shared listener is known already, because the listener is deployed."""
    scenario = make_scenario(enable_events)
    scenario.change(RULE_NAME, listenerArn="arn:aws:::front-door-https")
    assert scenario.unexpected() == []


def test_a_new_service_may_use_what_a_killed_update_created() -> None:
    """The name of a validation record is known, and no name of any other resource may stand in its place."""
    scenario = make_scenario(
        lambda config: block(config, "socket").update(enabled=True),
        before=lambda config: block(config, "socket").update(enabled=False),
    )
    step, fqdn = scenario.step("socket-servers-proof"), "_acme-challenge.socket.beta.100xglobal.com"
    proof = {**step["newState"], "id": "Z1_proof_CNAME", "outputs": {"fqdn": fqdn}}
    step.update(op="same", oldState=proof, newState=proof)
    scenario.deployed = replace(scenario.deployed, resources=(*scenario.deployed.resources, proof))
    scenario.change("socket-servers-validation", validationRecordFqdns=[fqdn])
    assert scenario.unexpected() == []
    scenario.change("socket-servers-validation", validationRecordFqdns=["_acme-challenge.other.example.com"])
    assert {name for name, _ in scenario.unexpected_properties()} == {"socket-servers-validation"}


def test_a_new_service_may_not_change_another_one() -> None:
    """Not even by what the same edit does elsewhere."""
    scenario = make_scenario(enable_events)
    scenario.change("core-servers-group", maxSize=9)
    assert scenario.unexpected_properties() == {("core-servers-group", "maxSize")}


def test_a_disabled_service_may_only_be_deleted() -> None:
    """Its resources may not change, and no other ones are deleted."""
    scenario = make_scenario(disable_socket)
    group = copy.deepcopy(scenario.step("socket-servers-group"))
    group.update(op="update", newState={**group["oldState"], "inputs": {**group["oldState"]["inputs"], "maxSize": 9}})
    scenario.steps["socket-servers-group", "aws:autoscaling/group:Group"] = group
    scenario.delete("core-servers-group")
    assert scenario.unexpected_properties() == {("socket-servers-group", "maxSize"), ("core-servers-group", "")}


# --- what may be deployed


def history(*updates: tuple[str, Config]) -> tuple[Update, ...]:
    """Return updates, newest first: how each ended, and with which configuration."""
    return tuple(Update("update", result, NOW, config) for result, config in updates)


def edited(edit: Edit) -> Config:
    """Return an edited configuration."""
    config = beta_config()
    edit(config)
    return config


def intent_after(*updates: tuple[str, Config], config: Config | None = None) -> Intent:
    """Return what beta's file asks for after updates."""
    return read_intent(make_state(*history(*updates)), config or beta_config())


def test_configuration_that_is_written_differently_does_not_differ() -> None:
    """Defaults may be written or left out."""
    explicit = edited(lambda config: block(config)["release"].update(architecture="arm64"))
    assert intent_after(("succeeded", explicit)).owners() == set()
    assert intent_after(("succeeded", beta_config()), config=explicit).owners() == set()


def test_going_back_from_what_a_failed_update_began_is_expected() -> None:
    """What it created exists, although it is not what the last successful update deployed."""
    intent = intent_after(("failed", edited(new_release)), ("succeeded", beta_config()))
    assert intent.owners() == {"members"}
    older = intent_after(("succeeded", beta_config()), ("failed", edited(new_release)))
    assert older.owners() == set()


def test_without_any_history_nothing_is_expected() -> None:
    """Nobody knows what is deployed then."""
    scenario = make_scenario(new_release)
    scenario.deployed = replace(scenario.deployed, updates=())
    assert {change for change, _ in scenario.unexpected_properties()} == {TEMPLATE_NAME, GROUP_NAME}
    intent = intent_after()
    assert (intent.owners(), intent.is_first) == (set(), False)


def test_after_a_first_deployment_that_failed_everything_is_expected() -> None:
    """Nothing was ever completely deployed, so there is nothing to protect."""
    scenario = make_scenario(new_release)
    scenario.deployed = deployed_state(beta_config(), scenario.deployed.resources[1:], "failed")
    scenario.delete("network-vpc")
    assert read_intent(scenario.deployed, scenario.config).is_first
    assert scenario.unexpected() == []


@pytest.mark.parametrize("version", [UNKNOWN, "7"], ids=["unknown", "the newest version"])
def test_a_retry_after_a_rollback_of_servers_is_expected(version: str) -> None:
    """The group gets the newest version of its launch template again, although no configuration differs."""
    scenario = make_scenario()
    for resource in scenario.deployed.resources:
        if resource["urn"].endswith(f"::{GROUP_NAME}"):
            resource["outputs"]["launchTemplate"] = {"id": f"{TEMPLATE_NAME}-id", "version": "6"}
    assert scenario.deployed.rolled_back_services() == {"members"}
    template = {**scenario.step(GROUP_NAME)["newState"]["inputs"]["launchTemplate"], "version": version}
    step = scenario.step(GROUP_NAME)
    step["oldState"] = copy.deepcopy(step["oldState"])
    step["oldState"]["inputs"]["launchTemplate"]["version"] = "6"
    scenario.change(GROUP_NAME, launchTemplate=template)
    assert scenario.unexpected() == []
    scenario.change(GROUP_NAME, launchTemplate={**template, "version": "3"}, maxSize=50)
    assert scenario.unexpected_properties() == {(GROUP_NAME, "launchTemplate.version"), (GROUP_NAME, "maxSize")}


def test_returning_a_resource_to_its_deployed_inputs_is_expected() -> None:
    """That only undoes drift."""
    scenario = make_scenario()
    step = scenario.step(GROUP_NAME)
    step.update(op="update", diffReasons=["maxSize"])
    assert canonical(step["oldState"]["inputs"]) == canonical(step["newState"]["inputs"])
    assert scenario.unexpected() == []


def test_a_resource_of_an_unknown_service_is_unexpected() -> None:
    """A service without a spec has no kind, so nothing is known about it."""
    scenario = make_scenario(enable_events)
    stranger = scenario.step("events", "hundredx:components:ServiceEnvironment")["urn"].replace("events", "stranger")
    urn = child_urn(stranger, SUBNET_GROUP, "stranger-database-subnets")
    scenario.steps["stranger-database-subnets", SUBNET_GROUP] = {
        "op": "create",
        "urn": urn,
        "oldState": None,
        "newState": {"urn": urn, "parent": stranger, "inputs": {}},
    }
    assert scenario.unexpected_properties() == {("stranger-database-subnets", "")}
