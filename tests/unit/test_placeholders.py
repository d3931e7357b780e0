"""Example values, which the sandbox accepts and a deployment to AWS does not."""

from pathlib import Path
from typing import Any

import pulumi
import pytest

from cli.check import example_notes
from foundation.guard import refuse_examples_on_real_aws
from services import all_services
from settings.check import check_folder
from settings.models import Settings
from settings.placeholders import describe, placeholders
from tests.unit.conftest import ROOT
from tests.unit.mistakes import copy_samples

ACCOUNT, REGISTRY_ACCOUNT = "529104738866", "804127719034"
DIGEST = "315b37782072f75293e66d15010a876f13ec8bca8672d904492a6bb49c5d9314"
IMAGE = f"{REGISTRY_ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/x@sha256:{DIGEST}"
MACHINE_IMAGE = "ami-0c7a9f1e3b5d28460"


def alpha(*, account: str = ACCOUNT, image: str = IMAGE, machine_image: str = MACHINE_IMAGE) -> Settings:
    """Return alpha's settings with other values in every release."""
    settings = check_folder(ROOT, all_services())[0]["alpha"]
    document: dict[str, Any] = settings.model_dump(by_alias=True)
    document["account_id"] = account
    for service in document["services"].values():
        service["release"] |= {"image": image, "machine_image": machine_image}
    return Settings.model_validate(document)


def test_values_of_ones_own_are_no_examples() -> None:
    """Nothing is said about an environment that was prepared for AWS."""
    assert placeholders(alpha()) == []
    assert describe(alpha()) == ""
    assert placeholders(alpha(image=f"ghcr.io/111111111111/x@sha256:{DIGEST}")) == []


@pytest.mark.parametrize(
    ("values", "field", "value"),
    [
        ({"account": "222222222222"}, "aws:allowedAccountIds", "222222222222"),
        ({"account": "123456789012"}, "aws:allowedAccountIds", "123456789012"),
        ({"image": IMAGE.replace(REGISTRY_ACCOUNT, "111111111111")}, "image", "111111111111"),
        ({"image": IMAGE.replace(DIGEST, "0" * 64)}, "image", f"sha256:{'0' * 64}"),
        ({"machine_image": "ami-0123456789abcdef0"}, "machine_image", "ami-0123456789abcdef0"),
        ({"machine_image": "ami-00000000000000000"}, "machine_image", "ami-00000000000000000"),
        ({"machine_image": "ami-12345678"}, "machine_image", "ami-12345678"),
    ],
)
def test_an_example_is_found_once(values: dict[str, str], field: str, value: str) -> None:
    """Services that share a value share a line."""
    (placeholder,) = placeholders(alpha(**values))
    assert (placeholder.field, placeholder.value) == (field, value)
    enabled = ("core", "email", "members", "payments", "socket")
    assert placeholder.services == (() if field == "aws:allowedAccountIds" else enabled)


def test_a_disabled_service_may_have_examples() -> None:
    """`./infra new service` writes them, and nothing is created from them."""
    settings = check_folder(ROOT, all_services())[0]["alpha"]
    assert "events" in settings.services
    assert all("events" not in placeholder.services for placeholder in placeholders(settings))


def test_real_aws_refuses_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them are listed, each with what to write, before anything is created."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    settings = check_folder(ROOT, all_services())[0]["alpha"]
    with pytest.raises(pulumi.RunError) as raised:
        refuse_examples_on_real_aws(settings)
    lines = str(raised.value).splitlines()
    assert lines[0] == "Pulumi.alpha.yaml contains examples, which no real AWS account has:"
    assert lines[-1] == "Nothing was created or changed. Replace them, then run the command again."
    assert [line.split()[0] for line in lines[1:-1]] == ["222222222222", "111111111111", "ami-0123456789abcdef0"]
    assert "al2023-ami-kernel-default-arm64" in lines[3]
    refuse_examples_on_real_aws(alpha())


def test_the_sandbox_accepts_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first ten minutes need no account."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    refuse_examples_on_real_aws(check_folder(ROOT, all_services())[0]["alpha"])


def test_without_examples_check_has_no_note(tmp_path: Path) -> None:
    """The note names the files that still contain examples."""
    environments = check_folder(copy_samples(tmp_path), all_services())[0]
    assert list(example_notes([alpha()])) == []
    (note,) = example_notes([alpha(), environments["beta"]])
    assert "Pulumi.beta.yaml" in note
    assert "Pulumi.alpha.yaml" not in note
