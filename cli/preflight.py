"""`./infra preflight`: asks AWS whether it would refuse an environment, before anything is created or changed."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import typer

from cli import deployed_program
from cli.aws_clients import AwsClients
from cli.backends import AWS, Backend
from cli.exit_codes import ExitCode
from cli.preflight_checks import CHECKS, CHECKS_ON_AWS, Check, Finding, Question, check_account, summary
from common.console import count, say
from common.errors import InfraError
from release import gate as rules
from release.stack_state import StackState
from services import all_services
from settings.check import check_folder

DNS_TIMEOUT_SECONDS = 5.0
THREADS = 8


def preflight(folder: Path, backend: Backend, environment: str) -> int:
    """Print everything that is not ready; fail if AWS would refuse the environment."""
    findings = find(folder, backend, environment)
    for finding in findings:
        typer.echo(f"{'warning' if finding.is_warning else 'problem'}: {finding.message}\n    {finding.advice}")
    where = "AWS" if backend.name == AWS else "the sandbox"
    typer.echo(f"{environment} on {where}: {summary(findings)}", err=True)
    if backend.name != AWS:
        say(
            f"the emulator cannot answer {count(len(CHECKS_ON_AWS), 'other check')} ({', '.join(CHECKS_ON_AWS)}). "
            f"To ask AWS:\n  ./infra preflight {environment} --on aws"
        )
    return ExitCode.FAILED if any(not finding.is_warning for finding in findings) else ExitCode.SUCCESS


def find(folder: Path, backend: Backend, environment: str) -> list[Finding]:
    """Return all findings: the problems first."""
    question = _question(folder, backend, environment)
    foreign = list(check_account(question))
    if foreign:
        return foreign  # the other answers would be about another account or region
    checks = {**CHECKS, **(CHECKS_ON_AWS if backend.name == AWS else {})}
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        groups = [*pool.map(lambda name: _run(name, checks[name], question), checks)]
    findings = [finding for group in groups for finding in group]
    if backend.name == AWS:
        findings += _state_findings(backend, environment, question.clients)
    return sorted(findings, key=lambda finding: finding.is_warning)


def _question(folder: Path, backend: Backend, environment: str) -> Question:
    """Collect what the checks need. The program runs under mocks, so that its resources can be counted."""
    specs = all_services()
    environments, problems = check_folder(folder, specs)
    if environment not in environments:
        raise InfraError("\n".join(str(problem) for problem in problems) or f"{environment} has no file")
    settings = environments[environment]
    config = rules.requested_config(folder, environment)
    clients = AwsClients(backend, environment, "what it would refuse")
    deployed = backend.state(environment) if backend.exists(environment) else StackState(environment, (), (), ())
    return Question(
        settings,
        {name: specs[name] for name in settings.enabled_services()},
        clients,
        deployed_program.record(folder, environment, config).inputs,
        deployed,
        name_servers_in_parent,
    )


def _run(name: str, check: Check, question: Question) -> list[Finding]:
    """Run one check. What AWS does not answer is a warning."""
    try:
        return list(check(question))
    except InfraError as error:
        reason = str(error.__cause__ or error).strip()
        return [Finding(f"{name} could not be checked: {reason}", "Check it by hand, or try again.", is_warning=True)]


def _state_findings(backend: Backend, environment: str, clients: AwsClients) -> list[Finding]:
    """Return what is wrong with where Pulumi keeps its state."""
    done = backend.capture(["whoami", "--json"], environment)
    url = str(json.loads(done.stdout).get("url", "")) if done.returncode == 0 else ""
    if url.startswith("file://"):
        return [
            Finding(
                f"Pulumi keeps the state on this machine ({url}), where no colleague sees it and no backup exists",
                "pulumi login s3://BUCKET, or pulumi login for Pulumi Cloud. See docs/real-aws.md.",
                is_warning=True,
            )
        ]
    return _run_bucket_check(url.removeprefix("s3://").partition("?")[0].strip("/"), clients) if "s3://" in url else []


def _run_bucket_check(bucket: str, clients: AwsClients) -> list[Finding]:
    """Return what is wrong with a bucket of states."""
    bucket = bucket.partition("/")[0]
    client = clients.client("s3")
    try:
        with clients.errors():
            versioning: Mapping[str, Any] = client.get_bucket_versioning(Bucket=bucket)
    except InfraError as error:
        reason = str(error.__cause__ or error)
        return [Finding(f"the state's bucket could not be checked: {reason}", "Check it by hand.", is_warning=True)]
    if versioning.get("Status") == "Enabled":
        return []
    return [
        Finding(
            f"the bucket {bucket} has no versions, so a damaged state cannot be restored",
            f"aws s3api put-bucket-versioning --bucket {bucket} --versioning-configuration Status=Enabled",
        )
    ]


def name_servers_in_parent(domain: str) -> set[str] | None:
    """Return the name servers that a name server of the parent zone has for a domain; None if it cannot be asked."""
    import dns.exception  # noqa: PLC0415 only this command needs them
    import dns.message  # noqa: PLC0415
    import dns.query  # noqa: PLC0415
    import dns.rdatatype  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    try:
        parent = dns.resolver.zone_for_name(domain.partition(".")[2])
        server = str(dns.resolver.resolve(parent, "NS")[0])
        address = str(dns.resolver.resolve(server, "A")[0])
        query = dns.message.make_query(domain, dns.rdatatype.NS)
        answer = dns.query.udp(query, address, timeout=DNS_TIMEOUT_SECONDS)
    except (dns.exception.DNSException, OSError):
        return None
    sets = [*answer.answer, *answer.authority]
    return {str(item).rstrip(".").lower() for records in sets if records.rdtype == dns.rdatatype.NS for item in records}
