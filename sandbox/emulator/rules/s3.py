"""S3: names, policies and lifecycle rules of buckets."""

import json
import re
from typing import Any

from ministack.services import s3

from sandbox.emulator.rules import policies
from sandbox.emulator.rules.hooks import Refusal, rule

API = "https://docs.aws.amazon.com/AmazonS3/latest/API"
GUIDE = "https://docs.aws.amazon.com/AmazonS3/latest/userguide"
RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
LIFECYCLE_RULE = re.compile(r"<Rule>.*?</Rule>", re.DOTALL)
TRANSITION = re.compile(r"<Transition>.*?<Days>(\d+)</Days>.*?</Transition>", re.DOTALL)
EXPIRATION = re.compile(r"<Expiration>.*?<Days>(\d+)</Days>.*?</Expiration>", re.DOTALL)


@rule(s3, "_create_bucket", source=f"{GUIDE}/bucketnamingrules.html")
def reserved_bucket_name(name: str, *_arguments: Any) -> Refusal | None:
    """The name of a bucket has no prefix or suffix that AWS reserves."""
    if name.startswith(RESERVED_PREFIXES) or name.endswith(RESERVED_SUFFIXES):
        return Refusal("InvalidBucketName", "The specified bucket is not valid.")
    return None


@rule(s3, "_put_bucket_policy", source=f"{API}/API_PutBucketPolicy.html")
def bucket_policy(name: str, body: bytes) -> Refusal | None:
    """A bucket's policy follows the grammar, and is about this bucket."""
    text = body.decode("utf-8", errors="replace")
    message = policies.problem(text, has_principal=True)
    if message:
        return Refusal("MalformedPolicy", message)
    own = f"arn:aws:s3:::{name}"
    for statement in policies.many(json.loads(text)["Statement"]):
        for resource in policies.many(statement.get("Resource", [])):
            if resource != own and not resource.startswith((f"{own}/", "*")):
                return Refusal("MalformedPolicy", "Policy has invalid resource")
    return None


@rule(s3, "_put_bucket_lifecycle", source=f"{GUIDE}/lifecycle-transition-general-considerations.html")
def lifecycle_days(_name: str, body: bytes) -> Refusal | None:
    """Objects expire after their last transition to another storage class."""
    for text in LIFECYCLE_RULE.findall(body.decode("utf-8", errors="replace")):
        expiration, transitions = EXPIRATION.search(text), [int(days) for days in TRANSITION.findall(text)]
        if expiration and transitions and int(expiration[1]) <= max(transitions):
            message = "'Days' in the Expiration action must be greater than 'Days' in the Transition action"
            return Refusal("InvalidArgument", message)
    return None
