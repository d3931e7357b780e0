"""What a resource's life looks like through the AWS provider of the sandbox."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from sandbox import aws_provider
from sandbox.bridge import spare
from sandbox.paths import ROOT
from sandbox.session import Session
from tests.engine.lab import Lab


@pytest.fixture
def lab(session: Session, tmp_path: Path) -> Lab:
    """Return an empty project."""
    made = Lab(session, tmp_path)
    made.write("")
    made.init()
    return made


HEAD = """
import pulumi
from pulumi_aws.iam.role import Role
from pulumi_aws.iam.role_policy import RolePolicy
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.sns.topic import Topic
from pulumi_aws.ssm.parameter import Parameter
from pulumi_aws.sqs.queue import Queue
from pulumi_aws.provider import Provider
"""


def test_an_update_in_place_then_nothing(lab: Lab) -> None:
    """A changed tag and retention are updates; a second preview is empty."""
    lab.write(HEAD + "LogGroup('log', name='/lab/update', retention_in_days=7, tags={'A': '1'})")
    lab.up()
    lab.write(HEAD + "LogGroup('log', name='/lab/update', retention_in_days=14, tags={'A': '2', 'B': '3'})")
    step = lab.steps()["log"]
    assert step["op"] == "update"
    assert set(step["detailedDiff"]) == {"retentionInDays", "tags.A", "tags.B"}
    lab.up()
    assert lab.steps() == {}


def test_a_fixed_name_is_deleted_before_it_is_made_anew_and_an_automatic_one_after(lab: Lab) -> None:
    """Two of one name cannot exist side by side."""
    lab.write(HEAD + "LogGroup('log', name='/lab/one'); Topic('topic', fifo_topic=False)")
    lab.up()
    name = lab.resource("topic")["outputs"]["name"]
    assert name.startswith("topic-")
    lab.write(HEAD + "LogGroup('log', name='/lab/two'); Topic('topic', fifo_topic=True, name='other.fifo')")
    steps = lab.steps()
    assert steps["log"]["op"] == "replace"
    assert steps["log"]["replaceReasons"] == ["name"]
    lab.up()
    assert lab.resource("log")["outputs"]["name"] == "/lab/two"


def test_an_automatic_name_stays_the_same(lab: Lab) -> None:
    """Another tag is no other name."""
    lab.write(HEAD + "Topic('topic', tags={'A': '1'})")
    lab.up()
    name = lab.resource("topic")["outputs"]["name"]
    lab.write(HEAD + "Topic('topic', tags={'A': '2'})")
    lab.up()
    assert lab.resource("topic")["outputs"]["name"] == name


def test_ignore_changes_replace_on_changes_and_delete_before_replace(lab: Lab) -> None:
    """The engine's options hold through the provider."""
    lab.write(HEAD + "Topic('a', tags={'A': '1', 'B': '1'}); Topic('b', display_name='one'); Topic('c', display_name='one')")
    lab.up()
    lab.write(
        HEAD
        + """
O = pulumi.ResourceOptions
Topic('a', tags={'A': '2', 'B': '2'}, opts=O(ignore_changes=['tags.A']))
Topic('b', display_name='two', opts=O(ignore_changes=['displayName']))
Topic('c', display_name='two', opts=O(replace_on_changes=['displayName'], delete_before_replace=True))
"""
    )
    steps = lab.steps()
    assert set(steps["a"]["detailedDiff"]) == {"tags.B"}
    assert "b" not in steps
    assert steps["c"]["op"] == "replace"
    lab.up()
    assert lab.resource("a")["outputs"]["tags"] == {"A": "1", "B": "2"}
    assert lab.resource("c")["outputs"]["displayName"] == "two"


def test_default_tags_and_several_providers(lab: Lab) -> None:
    """Each provider has its own settings; both regions at once."""
    lab.write(
        HEAD
        + """
east = Provider('east', region='us-east-1', default_tags={'tags': {'Team': 'lab'}})
west = Provider('west', region='us-west-2')
Topic('in-east', tags={'A': '1'}, opts=pulumi.ResourceOptions(provider=east))
Topic('in-west', opts=pulumi.ResourceOptions(provider=west))
"""
    )
    lab.up()
    assert lab.resource("in-east")["outputs"]["tagsAll"] == {"A": "1", "Team": "lab"}
    assert ":us-east-1:" in lab.resource("in-east")["outputs"]["arn"]
    assert ":us-west-2:" in lab.resource("in-west")["outputs"]["arn"]
    assert lab.steps() == {}


def test_a_secret_stays_secret_and_an_unknown_unknown(lab: Lab) -> None:
    """A secret is nowhere in the clear, also where another resource takes it; what is not made yet is not guessed."""
    lab.write(
        HEAD
        + """
word = Parameter('word', type='SecureString', value=pulumi.Output.secret('canary-8c1f'))
copy = Parameter('copy', type='String', value=word.value)
pulumi.export('arn', word.arn)
"""
    )
    done = lab.pulumi("preview", "--diff")
    assert "canary-8c1f" not in done.stdout
    assert "[unknown]" in done.stdout
    assert "canary-8c1f" not in lab.up()
    state = lab.pulumi("stack", "export").stdout
    assert "canary-8c1f" not in state
    assert "canary-8c1f" in lab.pulumi("stack", "export", "--show-secrets").stdout


def test_an_argument_that_has_no_counterpart_is_refused_by_urn(lab: Lab) -> None:
    """Dropping it silently would build something else than was asked for."""
    lab.write(
        HEAD
        + """
from pulumi_aws.guardduty.filter import Filter
Filter('filter', detector_id='d', action='ARCHIVE', rank=1, finding_criteria={'criterions': [{'field': 'region', 'matches': ['x']}]})
"""
    )
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "no such argument" in done.stdout
    assert "aws:guardduty/filter:Filter" in done.stdout


def test_an_unknown_type_is_refused(lab: Lab) -> None:
    """With what would have it."""
    lab.write("import pulumi\npulumi.CustomResource('aws:nosuch/thing:Thing', 'thing', {})")
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "has no counterpart" in done.stdout


def test_import_then_nothing(lab: Lab) -> None:
    """A resource that exists is taken over by its id."""
    lab.write(HEAD + "LogGroup('log', name='/lab/imported', retention_in_days=7, tags={'A': '1'}, opts=pulumi.ResourceOptions(retain_on_delete=True))")
    lab.up()
    assert lab.pulumi("destroy", "--yes").returncode == 0
    lab.write(HEAD + "LogGroup('taken', name='/lab/imported', retention_in_days=7, tags={'A': '1'}, opts=pulumi.ResourceOptions(import_='/lab/imported'))")
    assert "imported" in lab.up()
    lab.write(HEAD + "LogGroup('taken', name='/lab/imported', retention_in_days=7, tags={'A': '1'})")
    assert lab.steps() == {}


def test_refresh_sees_what_others_changed(lab: Lab) -> None:
    """Drift is found by refresh, and by it alone."""
    lab.write(HEAD + "Queue('queue', name='lab-drift', visibility_timeout_seconds=30)")
    lab.up()
    url = lab.resource("queue")["outputs"]["url"]
    body = f"Action=SetQueueAttributes&QueueUrl={url}&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=60"
    endpoint = lab.session.variables("test")["AWS_ENDPOINT_URL"]
    authorization = "AWS4-HMAC-SHA256 Credential=111111111111/20260101/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=0"
    done = subprocess.run(["curl", "-sS", "-H", f"Authorization: {authorization}", "-d", body, endpoint], capture_output=True, text=True, check=True)
    assert "Error" not in done.stdout, done.stdout
    assert lab.steps() == {}
    assert lab.pulumi("refresh", "--preview-only", "--expect-no-changes").returncode != 0
    assert lab.pulumi("refresh", "--yes", "--skip-preview").returncode == 0
    assert lab.steps()["queue"]["detailedDiff"].keys() == {"visibilityTimeoutSeconds"}
    lab.up()
    assert lab.pulumi("refresh", "--preview-only", "--expect-no-changes").returncode == 0


def test_what_was_half_made_is_in_the_state(lab: Lab) -> None:
    """An error after the creation: the next run goes on with the same resource instead of a second one."""
    instance = "Instance('slow', engine='postgres', engine_version='16.9', instance_class='db.t4g.micro', allocated_storage=20, username='u', manage_master_user_password=True, skip_final_snapshot=True"
    imports = HEAD + "from pulumi_aws.rds.instance import Instance\n"
    lab.write(imports + instance + ", opts=pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='5s')))")
    done = lab.pulumi("up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "timeout while waiting" in done.stdout
    half = lab.resource("slow")
    assert half["outputs"]["identifier"].startswith("slow-")
    assert half["initErrors"]
    lab.write(imports + instance + ")")
    lab.up()
    whole = lab.resource("slow")
    assert whole["id"] == half["id"]
    assert not whole.get("initErrors")


def test_cancellation_ends_soon_and_leaves_nothing_pending(lab: Lab) -> None:
    """Ctrl-C while AWS is slow."""
    lab.write(
        HEAD
        + """
from pulumi_aws.rds.instance import Instance
Instance('slow', engine='postgres', engine_version='16.9', instance_class='db.t4g.micro', allocated_storage=20, username='u', manage_master_user_password=True, skip_final_snapshot=True)
"""
    )
    variables = lab.session.environment("test") | {"PULUMI_OPTION_CWD": str(lab.folder)}
    variables.pop("INFRA_SANDBOX_STALE_CHECK", None)
    command = [str(lab.session.engine.binary), "up", "--yes", "--skip-preview", "--stack", "test", "--non-interactive"]
    process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    time.sleep(12)
    asked = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert time.monotonic() - asked < 30
    assert "pending_operations" not in lab.pulumi("stack", "export").stdout
    lab.write(HEAD)
    assert lab.pulumi("up", "--yes", "--skip-preview").returncode == 0


def test_only_an_endpoint_on_this_machine_is_talked_to(lab: Lab) -> None:
    """The bridge refuses everything else before it sends anything."""
    lab.write(HEAD + "Topic('topic')")
    done = lab.pulumi("preview", environment={"AWS_ENDPOINT_URL": "https://sts.amazonaws.com"})
    assert done.returncode != 0
    assert "only talks to an emulated AWS on this machine" in done.stdout


def test_credentials_of_the_configuration_are_not_used(lab: Lab) -> None:
    """A profile of the real environment is told and left out."""
    lab.write(HEAD + "Topic('topic')", config="config: {aws:region: us-east-1, aws:profile: production}")
    done = lab.pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout
    assert "aws:profile is not used here" in done.stdout


def test_an_account_that_is_not_allowed_is_refused(lab: Lab) -> None:
    """aws:allowedAccountIds holds in the sandbox too."""
    lab.write(HEAD + "Topic('topic')", config='config: {aws:region: us-east-1, aws:allowedAccountIds: ["999999999999"]}')
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "111111111111" in done.stdout


def test_a_spare_bridge_is_taken_by_one_provider_and_ends_with_it(lab: Lab) -> None:
    """The other provider starts its own; nothing is left running."""
    lab.write(HEAD + "Topic('a'); Topic('b', opts=pulumi.ResourceOptions(provider=Provider('other', region='us-east-1', allowed_account_ids=['111111111111'])))")
    with lab.session.spare_bridge(["preview"], lab.session.environment("test")) as environment:
        path = environment[spare.VARIABLE]
        deadline = time.monotonic() + 20
        while not Path(path).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        done = lab.pulumi("preview", environment={spare.VARIABLE: path})
        assert done.returncode == 0, done.stdout
        assert "4 to create" in done.stdout
        assert not Path(path).exists(), "nobody took it"
    assert subprocess.run(["pgrep", "-f", path], capture_output=True, check=False).returncode == 1


def test_a_spare_bridge_ends_with_the_one_who_started_it(lab: Lab) -> None:
    """Killed or not."""
    binary = lab.session.terraform_provider
    assert binary
    script = f"import sys, time; from sandbox.bridge import spare\nwith spare.started({aws_provider.bridge_command(binary)!r}, {{'PYTHONPATH': {str(ROOT)!r}}}) as path: print(path, flush=True); time.sleep(60)"
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    path = starter.stdout.readline().strip()
    assert subprocess.run(["pgrep", "-f", path], capture_output=True, check=False).returncode == 0
    starter.kill()
    starter.communicate()
    deadline = time.monotonic() + 20
    while subprocess.run(["pgrep", "-f", path], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < deadline, "it goes on without anybody to serve"
        time.sleep(0.2)


def test_a_call_that_is_sent_again_gets_the_answer_that_was_lost(lab: Lab) -> None:
    """By the SDK's number of the call; another call is told that it exists."""
    variables = lab.session.environment("test")
    form = urllib.parse.urlencode({"Action": "CreateRole", "RoleName": "sent-again", "AssumeRolePolicyDocument": "{}", "Version": "2010-05-08"}).encode()
    credential = f"AWS4-HMAC-SHA256 Credential={variables['AWS_ACCESS_KEY_ID']}/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0"

    def status(call: str) -> int:
        headers = {"amz-sdk-invocation-id": call, "Authorization": credential, "Content-Type": "application/x-www-form-urlencoded"}
        request = urllib.request.Request(variables["AWS_ENDPOINT_URL"], data=form, headers=headers)  # noqa: S310 the emulated AWS
        try:
            with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310 see above
                assert b"sent-again" in reply.read()
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert [status("one"), status("one"), status("two")] == [200, 200, 409]
