"""The release block as text: it is found and replaced whatever surrounds it, and nothing else in the file changes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from common.files import ROOT
from release import release_block
from release.errors import RefusedError, Rule
from settings.project_files import SERVICES_KEY, environment_file
from tests.unit.release_builders import ENVIRONMENTS, SERVICES

NEW_BLOCK = "  release:\n    version: 2.0.0\n    image: b # new\n"


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(SERVICES),
    service=st.sampled_from(SERVICES),
    line_end=st.sampled_from(["\n", "\r\n"]),
    has_last_line_end=st.booleans(),
)
def test_a_block_is_replaced_whatever_surrounds_it(
    order: list[str], service: str, line_end: str, *, has_last_line_end: bool
) -> None:
    """Services come in any order, with comments and blank lines, any line ends, and with or without the last one."""
    body = "".join(
        f"    {name}: # {name}\n"
        "      release: # r\n"
        "        version: 1.0.0\n"
        "\n"
        "        image: a\n"
        "      # size\n"
        "      sizing: {x: 1}\n"
        for name in order
    )
    text = f"config:\n  a: b\n  {SERVICES_KEY}:\n{body}  z: y\n".replace("\n", line_end)
    text = text if has_last_line_end else text.rstrip("\r\n")
    new_text = release_block.with_release(text, service, NEW_BLOCK, "f")
    config = YAML(typ="safe").load(new_text)["config"]
    versions = {name: block["release"]["version"] for name, block in config[SERVICES_KEY].items()}
    assert versions == {name: "2.0.0" if name == service else "1.0.0" for name in order}
    assert config["z"] == "y"
    assert new_text.count("# size") == len(order)
    assert ("\r\n" in new_text) == (line_end == "\r\n")


@pytest.mark.parametrize("stack", ENVIRONMENTS)
@pytest.mark.parametrize("service", SERVICES)
def test_every_release_of_this_repository_can_be_moved(stack: str, service: str) -> None:
    """Each service of each environment has its release in a block with one key per line."""
    text = (ROOT / environment_file(stack)).read_text(encoding="utf-8")
    assert release_block.release_text(text, service, "f").startswith("      release:")


@pytest.mark.parametrize(
    "text",
    [
        "config: {}\n",
        f"config:\n  {SERVICES_KEY}:\n    core:\n      release:\n        version: 1\n",
        f"config:\n  {SERVICES_KEY}:\n    members:\n      sizing: {{}}\n",
        f"config:\n  {SERVICES_KEY}:\n    members:\n      release: {{version: 1}}\n",
    ],
    ids=["no services", "another service", "no release", "a release on one line"],
)
def test_a_block_that_cannot_be_found_is_refused(text: str) -> None:
    """Nothing is replaced if the file does not have the service's release as a block."""
    with pytest.raises(RefusedError) as error:
        release_block.with_release(text, "members", NEW_BLOCK, "f")
    assert error.value.rules == {Rule.INVALID_BLOCK}


@pytest.mark.parametrize("style", ["|", ">", "|-", ">+"])
def test_a_text_that_looks_like_a_comment_belongs_to_its_block(style: str) -> None:
    """Inside a literal or folded text, a line that starts with # is text, also at the end of the block."""
    text = (
        "config:\n  100xglobal:services:\n    a:\n      release:\n        version: 1.0.0\n"
        f"        note: {style}\n          hello\n          # world\n      # about the size\n      sizing: {{}}\n"
    )
    block = release_block.release_text(text, "a", "f")
    assert block.endswith("# world\n")
    assert "about the size" not in block
