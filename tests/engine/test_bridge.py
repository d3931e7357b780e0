"""Tests of the bridge: small programs on the real engine show each step in a resource's life."""

import io
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from http import HTTPStatus
from pathlib import Path

import pytest

from common.files import ROOT
from sandbox import aws_provider
from sandbox.bridge import prestart
from sandbox.session import Session
from tests.engine.lab import Lab

ACCOUNT = "111111111111"
OTHER_ACCOUNT = "999999999999"
PRESTART_SECONDS = 20
CANCELLATION_SECONDS = 30
REQUEST_SECONDS = 20
IMPORTS = """
import pulumi
from pulumi import ResourceOptions
from pulumi_aws.cloudwatch.log_group import LogGroup
from pulumi_aws.provider import Provider
from pulumi_aws.rds.instance import Instance
from pulumi_aws.sns.topic import Topic
from pulumi_aws.sqs.queue import Queue
from pulumi_aws.ssm.parameter import Parameter
"""
# RDS needs longer than any other resource here: long enough for a timeout or an interrupt during its creation.
DATABASE = """
database = dict(
    engine='postgres',
    engine_version='16.13',
    instance_class='db.t4g.micro',
    allocated_storage=20,
    username='u',
    manage_master_user_password=True,
    skip_final_snapshot=True,
)
"""


@pytest.fixture
def lab(session: Session, tmp_path: Path) -> Lab:
    """Return a project with an empty program."""
    lab = Lab(session, tmp_path)
    lab.write("")
    lab.init()
    return lab


def is_running(argument: str) -> bool:
    """Tell whether a process with this text in its command line is running."""
    return subprocess.run(["pgrep", "-f", argument], capture_output=True, check=False).returncode == 0


def signature(region_and_service: str, access_key: str) -> str:
    """Return an Authorization header. The emulator reads the account and the service, and accepts any signature."""
    scope = f"{access_key}/20260101/{region_and_service}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def test_changed_arguments_are_updated_in_place(lab: Lab) -> None:
    """A preview lists each changed property, and is empty after `up`."""
    lab.write(IMPORTS + "LogGroup('log', name='/lab/update', retention_in_days=7, tags={'A': '1'})")
    lab.up()
    lab.write(IMPORTS + "LogGroup('log', name='/lab/update', retention_in_days=14, tags={'A': '2', 'B': '3'})")
    step = lab.steps()["log"]
    assert step["op"] == "update"
    assert set(step["detailedDiff"]) == {"retentionInDays", "tags.A", "tags.B"}
    lab.up()
    assert lab.steps() == {}


def test_a_changed_name_replaces_the_resource(lab: Lab) -> None:
    """A log group with another name, and a topic whose automatic name becomes a fixed one, are replaced."""
    lab.write(IMPORTS + "LogGroup('log', name='/lab/one'); Topic('topic', fifo_topic=False)")
    lab.up()
    name = lab.resource("topic")["outputs"]["name"]
    assert name.startswith("topic-")
    lab.write(IMPORTS + "LogGroup('log', name='/lab/two'); Topic('topic', fifo_topic=True, name='other.fifo')")
    steps = lab.steps()
    assert steps["log"]["op"] == "replace"
    assert steps["log"]["replaceReasons"] == ["name"]
    assert steps["topic"]["op"] == "replace"
    lab.up()
    assert lab.resource("log")["outputs"]["name"] == "/lab/two"


def test_an_automatic_name_does_not_change_with_an_update(lab: Lab) -> None:
    """A topic whose tags change keeps the name that the bridge chose."""
    lab.write(IMPORTS + "Topic('topic', tags={'A': '1'})")
    lab.up()
    name = lab.resource("topic")["outputs"]["name"]
    lab.write(IMPORTS + "Topic('topic', tags={'A': '2'})")
    lab.up()
    assert lab.resource("topic")["outputs"]["name"] == name


def test_resource_options_apply(lab: Lab) -> None:
    """The bridge supports `ignore_changes`, `replace_on_changes` and `delete_before_replace`."""
    lab.write(
        IMPORTS
        + """
Topic('a', tags={'A': '1', 'B': '1'})
Topic('b', display_name='one')
Topic('c', display_name='one')
"""
    )
    lab.up()
    lab.write(
        IMPORTS
        + """
replace = ResourceOptions(replace_on_changes=['displayName'], delete_before_replace=True)
Topic('a', tags={'A': '2', 'B': '2'}, opts=ResourceOptions(ignore_changes=['tags.A']))
Topic('b', display_name='two', opts=ResourceOptions(ignore_changes=['displayName']))
Topic('c', display_name='two', opts=replace)
"""
    )
    steps = lab.steps()
    assert set(steps["a"]["detailedDiff"]) == {"tags.B"}
    assert "b" not in steps
    assert steps["c"]["op"] == "replace"
    lab.up()
    assert lab.resource("a")["outputs"]["tags"] == {"A": "1", "B": "2"}
    assert lab.resource("c")["outputs"]["displayName"] == "two"


def test_each_provider_has_its_own_region_and_default_tags(lab: Lab) -> None:
    """Two providers in one program create their resources in two regions, each with its own default tags."""
    lab.write(
        IMPORTS
        + """
east = Provider('east', region='us-east-1', default_tags={'tags': {'Team': 'lab'}})
west = Provider('west', region='us-west-2')
Topic('in-east', tags={'A': '1'}, opts=ResourceOptions(provider=east))
Topic('in-west', opts=ResourceOptions(provider=west))
"""
    )
    lab.up()
    assert lab.resource("in-east")["outputs"]["tagsAll"] == {"A": "1", "Team": "lab"}
    assert ":us-east-1:" in lab.resource("in-east")["outputs"]["arn"]
    assert ":us-west-2:" in lab.resource("in-west")["outputs"]["arn"]
    assert lab.steps() == {}


def test_assets_are_uploaded_and_compared_by_content(lab: Lab) -> None:
    """An object's key is its logical name by default, and a bucket's name may have dots.

    The engine sends an asset's content once; later previews know only its digest.
    """
    program = IMPORTS + textwrap.dedent("""
        from pulumi import AssetArchive, FileArchive, StringAsset
        from pulumi_aws.s3.bucket import Bucket
        from pulumi_aws.s3.bucket_objectv2 import BucketObjectv2
        bucket = Bucket('files', bucket='lab.with.dots').bucket
        BucketObjectv2('page.html', bucket=bucket, source=StringAsset('one'))
        archive = AssetArchive({'a/b.txt': StringAsset('b'), 'folder': FileArchive('./folder')})
        BucketObjectv2('archive', bucket=bucket, key='all.zip', source=archive)
    """)
    (lab.folder / "folder").mkdir()
    (lab.folder / "folder/c.txt").write_text("c", encoding="utf-8")
    lab.write(program)
    lab.up()
    assert lab.steps() == {}
    s3 = lab.aws("s3")
    assert s3.get_object(Bucket="lab.with.dots", Key="page.html")["Body"].read() == b"one"
    with zipfile.ZipFile(io.BytesIO(s3.get_object(Bucket="lab.with.dots", Key="all.zip")["Body"].read())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"a/b.txt": b"b", "folder/c.txt": b"c"}
    lab.write(program.replace("'one'", "'two'"))
    assert set(lab.steps()) == {"page.html"}
    lab.up()
    assert s3.get_object(Bucket="lab.with.dots", Key="page.html")["Body"].read() == b"two"


def test_a_diff_shows_what_the_program_changes(lab: Lab) -> None:
    """Not what the provider works out from it, and not that an empty value is missing."""
    program = IMPORTS + textwrap.dedent("""
        from pulumi_aws.ec2.launch_template import LaunchTemplate
        LaunchTemplate('template', image_id='ami-0123456789abcdef0', update_default_version=True)
    """)
    lab.write(program)
    lab.up()
    lab.write(program.replace("ami-0123456789abcdef0", "ami-0123456789abcdef1"))
    assert set(lab.steps()["template"]["detailedDiff"]) == {"imageId"}


@pytest.mark.parametrize("threshold", ["1e-5", "1e22", "0.1", "3"])
def test_numbers_keep_their_value(lab: Lab, threshold: str) -> None:
    """Very small and very large numbers have an exponent."""
    lab.write(
        IMPORTS
        + textwrap.dedent(f"""
        from pulumi_aws.cloudwatch.metric_alarm import MetricAlarm
        MetricAlarm('alarm', comparison_operator='GreaterThanThreshold', evaluation_periods=1, metric_name='x',
                    namespace='AWS/EC2', period=60, statistic='Sum', threshold={threshold})
    """)
    )
    lab.up()
    assert lab.resource("alarm")["outputs"]["threshold"] == float(threshold)
    assert lab.steps() == {}


def test_secrets_stay_encrypted_and_unknown_values_stay_unknown(lab: Lab) -> None:
    """A secret is never in plain text, not even in a resource that copies it, and a preview does not guess outputs."""
    lab.write(
        IMPORTS
        + """
password = Parameter('password', type='SecureString', value=pulumi.Output.secret('canary-8c1f'))
copy = Parameter('copy', type='String', value=password.value)
pulumi.export('arn', password.arn)
"""
    )
    done = lab.pulumi("preview", "--diff")
    assert "canary-8c1f" not in done.stdout
    assert "[unknown]" in done.stdout
    assert "canary-8c1f" not in lab.up()
    state = lab.pulumi("stack", "export").stdout
    assert "canary-8c1f" not in state
    assert "canary-8c1f" in lab.pulumi("stack", "export", "--show-secrets").stdout


def test_an_argument_that_terraform_does_not_have_is_refused(lab: Lab) -> None:
    """The preview fails and names the resource and the argument: to drop it would create something different."""
    lab.write(
        IMPORTS
        + """
from pulumi_aws.guardduty.filter import Filter
criteria = {'criterions': [{'field': 'region', 'matches': ['x']}]}
Filter('filter', detector_id='d', action='ARCHIVE', rank=1, finding_criteria=criteria)
"""
    )
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "aws:guardduty/filter:Filter resource 'filter'" in done.stdout
    assert "property findingCriteria.criterions.matches" in done.stdout


def test_an_unknown_type_is_refused(lab: Lab) -> None:
    """The preview fails and names the type."""
    lab.write("import pulumi\npulumi.CustomResource('aws:nosuch/thing:Thing', 'thing', {})")
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert "does not support aws:nosuch/thing:Thing" in done.stdout


def test_an_existing_resource_can_be_imported(lab: Lab) -> None:
    """`import_` adopts a resource by its ID, and the next preview is empty."""
    log_group = "name='/lab/imported', retention_in_days=7, tags={'A': '1'}"
    lab.write(IMPORTS + f"LogGroup('log', {log_group}, opts=ResourceOptions(retain_on_delete=True))")
    lab.up()
    assert lab.pulumi("destroy", "--yes").returncode == 0
    lab.write(IMPORTS + f"LogGroup('adopted', {log_group}, opts=ResourceOptions(import_='/lab/imported'))")
    assert "imported" in lab.up()
    lab.write(IMPORTS + f"LogGroup('adopted', {log_group})")
    assert lab.steps() == {}


def test_refresh_detects_drift(lab: Lab) -> None:
    """Only `refresh` detects what another program changed in AWS; the next `up` changes it back."""
    lab.write(IMPORTS + "Queue('queue', name='lab-drift', visibility_timeout_seconds=30)")
    lab.up()
    url = lab.resource("queue")["outputs"]["url"]
    body = f"Action=SetQueueAttributes&QueueUrl={url}&Attribute.1.Name=VisibilityTimeout&Attribute.1.Value=60"
    endpoint = lab.variables()["AWS_ENDPOINT_URL"]
    authorization = signature("us-east-1/sqs", ACCOUNT)
    done = subprocess.run(
        ["curl", "-sS", "-H", f"Authorization: {authorization}", "-d", body, endpoint],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Error" not in done.stdout, done.stdout
    assert lab.steps() == {}
    assert lab.pulumi("refresh", "--preview-only", "--expect-no-changes").returncode != 0
    assert lab.pulumi("refresh", "--yes", "--skip-preview").returncode == 0
    assert lab.steps()["queue"]["detailedDiff"].keys() == {"visibilityTimeoutSeconds"}
    lab.up()
    assert lab.pulumi("refresh", "--preview-only", "--expect-no-changes").returncode == 0


def test_a_partially_created_resource_is_kept_in_the_state(lab: Lab) -> None:
    """If a creation times out, the next `up` completes the same resource instead of creating a second one."""
    timeout = "ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(create='5s'))"
    lab.write(IMPORTS + DATABASE + f"Instance('slow', **database, opts={timeout})")
    done = lab.pulumi("up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "timeout while waiting" in done.stdout
    partial = lab.resource("slow")
    assert partial["outputs"]["identifier"].startswith("slow-")
    assert partial["initErrors"]
    lab.write(IMPORTS + DATABASE + "Instance('slow', **database)")
    lab.up()
    complete = lab.resource("slow")
    assert complete["id"] == partial["id"]
    assert not complete.get("initErrors")


def test_an_interrupt_ends_a_creation_without_pending_operations(lab: Lab) -> None:
    """After Ctrl-C during a slow creation, `up` ends within 30 seconds and the next one succeeds."""
    lab.write(IMPORTS + DATABASE + "Instance('slow', **database)")
    command = [str(lab.session.engine.binary), "up", "--yes", "--skip-preview", "--stack", "test", "--non-interactive"]
    process = subprocess.Popen(
        command,
        env=lab.variables(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    time.sleep(12)  # the creation has then begun and takes some time more
    interrupted_at = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    process.communicate(timeout=2 * CANCELLATION_SECONDS)
    assert process.returncode != 0
    assert time.monotonic() - interrupted_at < CANCELLATION_SECONDS
    assert "pending_operations" not in lab.pulumi("stack", "export").stdout
    lab.write(IMPORTS)
    assert lab.pulumi("up", "--yes", "--skip-preview").returncode == 0


def test_an_endpoint_on_another_machine_is_refused(lab: Lab) -> None:
    """With the endpoint of the real AWS, the preview fails before the bridge sends any request."""
    lab.write(IMPORTS + "Topic('topic')")
    done = lab.pulumi("preview", environment={"AWS_ENDPOINT_URL": "https://sts.amazonaws.com"})
    assert done.returncode != 0
    assert "https://sts.amazonaws.com" in done.stdout
    assert "on this machine" in done.stdout


def test_credentials_in_the_configuration_are_ignored(lab: Lab) -> None:
    """A profile in the stack's configuration has no effect, and a warning says so."""
    lab.write(IMPORTS + "Topic('topic')", config="config: {aws:region: us-east-1, aws:profile: production}")
    done = lab.pulumi("up", "--yes", "--skip-preview")
    assert done.returncode == 0, done.stdout
    assert "aws:profile" in done.stdout


def test_an_account_that_is_not_allowed_is_refused(lab: Lab) -> None:
    """The preview fails if `aws:allowedAccountIds` does not list the sandbox's account."""
    config = f'config: {{aws:region: us-east-1, aws:allowedAccountIds: ["{OTHER_ACCOUNT}"]}}'
    lab.write(IMPORTS + "Topic('topic')", config=config)
    done = lab.pulumi("preview")
    assert done.returncode != 0
    assert ACCOUNT in done.stdout


def test_one_provider_claims_the_prestarted_bridge(lab: Lab) -> None:
    """Of two providers, one claims the prestarted bridge, the other starts its own, and both bridges exit."""
    lab.write(
        IMPORTS
        + f"""
other = Provider('other', region='us-east-1', allowed_account_ids=['{ACCOUNT}'])
Topic('a')
Topic('b', opts=ResourceOptions(provider=other))
"""
    )
    with lab.session.prestarted_bridge(["preview"], lab.session.environment("test")) as environment:
        socket_path = environment[prestart.VARIABLE]
        deadline = time.monotonic() + PRESTART_SECONDS
        while not Path(socket_path).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        done = lab.pulumi("preview", environment={prestart.VARIABLE: socket_path})
        assert done.returncode == 0, done.stdout
        assert "4 to create" in done.stdout
        assert not Path(socket_path).exists(), "no provider claimed the prestarted bridge"
    assert not is_running(socket_path)


def test_a_prestarted_bridge_exits_if_its_starter_is_killed(lab: Lab) -> None:
    """An unclaimed bridge exits when the process that started it is killed."""
    binary = lab.session.terraform_provider
    assert binary
    command, environment = aws_provider.bridge_command(binary), {"PYTHONPATH": str(ROOT)}
    script = f"""
import time
from sandbox.bridge import prestart
with prestart.started({command!r}, {environment!r}) as socket_path:
    print(socket_path, flush=True)
    time.sleep(60)
"""
    starter = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout
    socket_path = starter.stdout.readline().strip()
    assert socket_path
    assert is_running(socket_path)
    starter.kill()
    starter.communicate()
    deadline = time.monotonic() + PRESTART_SECONDS
    while is_running(socket_path):
        assert time.monotonic() < deadline, "the bridge is still running"
        time.sleep(0.2)


def test_a_retried_request_gets_the_first_response(lab: Lab) -> None:
    """The emulator recognizes a retry by the SDK's invocation ID; a new request for the same role is a conflict."""
    variables = lab.session.environment("test")
    document = json.dumps({"Version": "2012-10-17", "Statement": []})
    role = {
        "Action": "CreateRole",
        "RoleName": "retried",
        "AssumeRolePolicyDocument": document,
        "Version": "2010-05-08",
    }
    form = urllib.parse.urlencode(role).encode()

    def status(invocation_id: str) -> int:
        headers = {
            "amz-sdk-invocation-id": invocation_id,
            "Authorization": signature("us-east-1/iam", variables["AWS_ACCESS_KEY_ID"]),
            "Content-Type": "application/x-www-form-urlencoded",
        }
        endpoint = variables["AWS_ENDPOINT_URL"]
        request = urllib.request.Request(endpoint, data=form, headers=headers)  # noqa: S310 the emulator
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310 see above
                assert b"retried" in response.read()
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert [status("one"), status("one"), status("two")] == [HTTPStatus.OK, HTTPStatus.OK, HTTPStatus.CONFLICT]
