"""Requests about buckets, names and messages that AWS refuses."""

import json
from typing import Any

from tests.engine.aws_requests.account import Account, Request, Requests


def bucket(name: str) -> Request:
    """Return a request that creates a bucket."""
    return lambda account: account.client("s3").create_bucket(Bucket=name)


def delete_bucket(account: Account, *, is_empty: bool) -> None:
    """Delete a bucket with or without an object."""
    s3, name = account.client("s3"), f"bucket-{account.name()}"
    s3.create_bucket(Bucket=name)
    if not is_empty:
        s3.put_object(Bucket=name, Key="a", Body=b"a")
    s3.delete_bucket(Bucket=name)


def bucket_policy(account: Account, resource: str) -> None:
    """Give a bucket a policy. resource: `{}` stands for the bucket's name."""
    s3, name = account.client("s3"), f"bucket-{account.name()}"
    s3.create_bucket(Bucket=name)
    service = {"Service": "cloudfront.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": service, "Action": "s3:GetObject", "Resource": resource.format(name)}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def expiry(account: Account, days: int, transition: int) -> None:
    """Move objects of a bucket to another class and delete them later."""
    s3, name = account.client("s3"), f"bucket-{account.name()}"
    s3.create_bucket(Bucket=name)
    rule = {
        "ID": "a",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Transitions": [{"Days": transition, "StorageClass": "GLACIER"}],
        "Expiration": {"Days": days},
    }
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})


def repository(name: str) -> Request:
    """Return a request that creates a repository."""
    return lambda account: account.client("ecr").create_repository(repositoryName=name)


def repository_policy(**fields: Any) -> Request:
    """Return a request that gives a repository a policy. fields: more of its statement."""

    def send(account: Account) -> None:
        ecr, name = account.client("ecr"), account.name()
        ecr.create_repository(repositoryName=name)
        statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage", **fields}
        ecr.set_repository_policy(repositoryName=name, policyText=json.dumps({"Statement": [statement]}))

    return send


def image_lifecycle(*rules: tuple[int, str]) -> Request:
    """Return a request that says which images a repository deletes. rules: their priority and tag status."""

    def send(account: Account) -> None:
        ecr, name = account.client("ecr"), account.name()
        ecr.create_repository(repositoryName=name)
        content = [
            {
                "rulePriority": priority,
                "selection": {"tagStatus": status, "countType": "imageCountMoreThan", "countNumber": 9},
                "action": {"type": "expire"},
            }
            for priority, status in rules
        ]
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps({"rules": content}))

    return send


def zone(account: Account) -> str:
    """Create a zone and return its id."""
    created = account.client("route53").create_hosted_zone(Name="a.example", CallerReference=account.name())
    identifier: str = created["HostedZone"]["Id"]
    return identifier


def records(*changes: dict[str, Any]) -> Request:
    """Return a request that creates records of a new zone, one after the other."""

    def send(account: Account) -> None:
        identifier = zone(account)
        for record in changes:
            batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": {"TTL": 60, **record}}]}
            account.client("route53").change_resource_record_sets(HostedZoneId=identifier, ChangeBatch=batch)

    return send


def record(name: str, kind: str, *values: str) -> dict[str, Any]:
    """Return a record."""
    return {"Name": name, "Type": kind, "ResourceRecords": [{"Value": value} for value in values]}


def delete_zone(account: Account, *, has_record: bool) -> None:
    """Delete a zone with or without a record besides its own."""
    route53, identifier = account.client("route53"), zone(account)
    if has_record:
        batch = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": {"TTL": 60, **A_RECORD}}]}
        route53.change_resource_record_sets(HostedZoneId=identifier, ChangeBatch=batch)
    route53.delete_hosted_zone(Id=identifier)


def subscription(protocol: str, endpoint: str) -> Request:
    """Return a request that subscribes to a topic."""

    def send(account: Account) -> None:
        sns = account.client("sns")
        topic = sns.create_topic(Name=account.name())["TopicArn"]
        sns.subscribe(TopicArn=topic, Protocol=protocol, Endpoint=endpoint)

    return send


def parameter(name: str) -> Request:
    """Return a request that stores a parameter."""
    return lambda account: account.client("ssm").put_parameter(Name=name, Value="x", Type="String", Overwrite=True)


def delete_certificate(account: Account, *, is_used: bool) -> None:
    """Delete a certificate that a listener has, or not."""
    arn = account.certificate("us-east-1")
    if is_used:
        certificate = {"CertificateArn": arn}
        account.listener(account.balancer(), Protocol="HTTPS", Port=443, Certificates=[certificate])
    account.client("acm").delete_certificate(CertificateArn=arn)


A_RECORD = record("x.a.example", "A", "192.0.2.1")
REQUESTS: Requests = {
    "a bucket's name with capitals": (bucket("MyBucket"), "InvalidBucketName", bucket("my-bucket-1")),
    "a bucket's name of two characters": (bucket("ab"), "InvalidBucketName", bucket("abc-1")),
    "a bucket's name like an address": (bucket("192.168.0.1"), "InvalidBucketName", None),
    "a reserved bucket's name": (bucket("xn--bucket"), "InvalidBucketName", None),
    "deleting a bucket with objects": (
        lambda account: delete_bucket(account, is_empty=False),
        "BucketNotEmpty",
        lambda account: delete_bucket(account, is_empty=True),
    ),
    "a policy for another bucket": (
        lambda account: bucket_policy(account, "arn:aws:s3:::another-bucket/*"),
        "MalformedPolicy",
        lambda account: bucket_policy(account, "arn:aws:s3:::{}/*"),
    ),
    "objects that expire before they move": (
        lambda account: expiry(account, 30, 30),
        "InvalidArgument",
        lambda account: expiry(account, 31, 30),
    ),
    "a CNAME at the top of a zone": (
        records(record("a.example", "CNAME", "b.example")),
        "InvalidChangeBatch",
        records(record("w.a.example", "CNAME", "b.example")),
    ),
    "a CNAME beside another record": (
        records(A_RECORD, record("x.a.example", "CNAME", "b.example")),
        "InvalidChangeBatch",
        records(A_RECORD, record("x.a.example", "AAAA", "2001:db8::1")),
    ),
    "the same record twice": (records(A_RECORD, A_RECORD), "InvalidChangeBatch", records(A_RECORD)),
    "a record of another domain": (records(record("x.b.example", "A", "192.0.2.1")), "InvalidChangeBatch", None),
    "an address that is none": (records(record("y.a.example", "A", "192.0.2.256")), "InvalidChangeBatch", None),
    "text without quotes": (
        records(record("t.a.example", "TXT", "v=spf1 -all")),
        "InvalidChangeBatch",
        records(record("t.a.example", "TXT", '"v=spf1 -all"')),
    ),
    "deleting a zone with a record": (
        lambda account: delete_zone(account, has_record=True),
        "HostedZoneNotEmpty",
        lambda account: delete_zone(account, has_record=False),
    ),
    "a subscription by post": (
        subscription("post", "x@example.com"),
        "InvalidParameter",
        subscription("email", "x@example.com"),
    ),
    "an email address that is none": (subscription("email", "x"), "InvalidParameter", None),
    "a parameter of AWS's own": (
        parameter("/aws/service/x"),
        "AccessDeniedException",
        parameter("/alpha/members/X"),
    ),
    "a repository in upper case": (repository("Members"), "InvalidParameterException", repository("team/members")),
    "a repository's policy with a resource": (
        repository_policy(Resource="*"),
        "InvalidParameterException",
        repository_policy(),
    ),
    "a lifecycle rule for any tag that is not the last": (
        image_lifecycle((1, "any"), (2, "untagged")),
        "InvalidParameterException",
        image_lifecycle((1, "untagged"), (2, "any")),
    ),
    "two lifecycle rules with one priority": (
        image_lifecycle((1, "untagged"), (1, "any")),
        "InvalidParameterException",
        None,
    ),
    "deleting a certificate in use": (
        lambda account: delete_certificate(account, is_used=True),
        "ResourceInUseException",
        lambda account: delete_certificate(account, is_used=False),
    ),
}
