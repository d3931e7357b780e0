"""The start script of servers, which is checked by running it with stand-ins for the programs that it calls."""

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.container_registry import ecr_account, ecr_region, registry_of, repository_of
from components.user_data import encoded_start_script, start_script
from tests.unit.executables import write_executable

REGISTRY = "111111111111.dkr.ecr.us-east-1.amazonaws.com"
IMAGE = f"{REGISTRY}/team/x@sha256:{'0' * 64}"
LOG_GROUP = "/alpha/x/servers"
SHELLCHECK = Path(sys.executable).parent / "shellcheck"
HOSTILE_VARIABLES = {
    "COMMAND": "$(touch executed) `touch executed`; touch executed",
    "DELIMITER": "UNIT",
    "NAME": "Zoë 日本",
    "QUOTES": "'single' \"double\" \\",
    "SPACES": "  a = b  ",
    "SPECIFIER": "%H %i $HOME ${PATH}",
}

DOCKER = """#!/bin/sh
if [ "$1" = run ]; then
    for argument; do printf '%s\\n' "$argument"; done > "$ROOT/arguments"
    echo "$HOME" > "$ROOT/home"
fi
"""
# Fails as often as the file `failures` says, then creates what the packages contain.
DNF = """#!/bin/bash
echo "$*" >> "$ROOT/dnf-calls"
left=$(cat "$ROOT/failures")
if [ "$left" -gt 0 ]; then
    echo $((left - 1)) > "$ROOT/failures"
    echo "RPM: error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)" >&2
    exit 1
fi
[[ $* != *docker* ]] || cp "$ROOT/docker" "$ROOT/bin/docker"
[[ $* != *helper* ]] || cp "$ROOT/docker" "$ROOT/bin/docker-credential-ecr-login"
"""
SYSTEMCTL = '#!/bin/sh\necho "$*" >> "$ROOT/systemctl-calls"\n'


@dataclass(frozen=True)
class Server:
    """A folder that stands in for the disk of a new server."""

    root: Path

    def start(self, script: str) -> "subprocess.CompletedProcess[str]":
        """Run a start script, with its paths below the folder."""
        script = script.replace("/etc/", f"{self.root}/etc/").replace("/root", f"{self.root}/root")
        return subprocess.run(
            ["/bin/bash", "-c", script],
            cwd=self.root,
            env={"PATH": str(self.root / "bin"), "ROOT": str(self.root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def run_service(self) -> None:
        """Run the command of the installed unit, as systemd would."""
        unit = self.read("etc/systemd/system/service.service").splitlines()
        command = next(line for line in unit if line.startswith("ExecStart=")).removeprefix("ExecStart=")
        home = next(line for line in unit if line.startswith("Environment=HOME=")).removeprefix("Environment=HOME=")
        words = shlex.split(command.replace("/usr/bin/docker", str(self.root / "bin/docker")).replace("%H", "ip-1"))
        environment = {"PATH": str(self.root / "bin"), "ROOT": str(self.root), "HOME": home}
        subprocess.run(words, env=environment, check=True, timeout=30)

    def read(self, path: str) -> str:
        """Return the content of a file."""
        return (self.root / path).read_text(encoding="utf-8")

    def container_variables(self) -> dict[str, str]:
        """Return the environment file's variables as Docker reads them: one per line, without any quoting."""
        return dict(line.split("=", 1) for line in self.read("etc/service.env").splitlines())


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Return a server without Docker, on which packages can be installed."""
    for program in ("base64", "bash", "cat", "cp", "mkdir"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or program)
    write_executable(tmp_path / "docker", DOCKER)
    write_executable(tmp_path / "bin/dnf", DNF)
    write_executable(tmp_path / "bin/sleep", "#!/bin/sh\n")
    write_executable(tmp_path / "bin/systemctl", SYSTEMCTL)
    (tmp_path / "failures").write_text("0", encoding="utf-8")
    (tmp_path / "etc/systemd/system").mkdir(parents=True)
    return Server(tmp_path)


# --- running it


def test_a_new_server_installs_docker_and_starts_the_container(server: Server) -> None:
    """An image of Amazon Linux 2023 contains neither Docker nor the credential helper for ECR."""
    result = server.start(start_script(IMAGE, "eu-west-1", LOG_GROUP, {"A": "1"}))
    assert (result.returncode, result.stderr) == (0, "")
    assert server.read("dnf-calls") == "--assumeyes --quiet install docker amazon-ecr-credential-helper\n"
    assert server.read("systemctl-calls") == "daemon-reload\nenable --now service\n"
    server.run_service()
    arguments = server.read("arguments").splitlines()
    assert arguments[0] == "run"
    assert arguments[-1] == IMAGE
    assert arguments[arguments.index("--env-file") + 1] == f"{server.root}/etc/service.env"
    assert {"--read-only", "awslogs-region=eu-west-1", f"awslogs-group={LOG_GROUP}", "tag=ip-1"} <= set(arguments)


def test_docker_logs_in_to_ecr_with_the_role_of_the_servers(server: Server) -> None:
    """The credential helper and Docker look for their files in HOME, which systemd does not set by itself."""
    server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, {}))
    server.run_service()
    home = server.read("home").strip()
    config = json.loads(Path(home, ".docker/config.json").read_text(encoding="utf-8"))
    assert config == {"credHelpers": {REGISTRY: "ecr-login"}}


def test_another_registry_needs_no_login(server: Server) -> None:
    """AWS's credentials are sent to ECR only, so the credential helper is not installed either."""
    server.start(start_script(f"ghcr.io/x@sha256:{'0' * 64}", "us-east-1", LOG_GROUP, {}))
    assert json.loads(server.read("root/.docker/config.json")) == {}
    assert server.read("dnf-calls") == "--assumeyes --quiet install docker\n"


def test_hostile_variables_reach_the_container_unchanged(server: Server) -> None:
    """No value is executed, expanded or cut, and nobody but root can read them."""
    result = server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, HOSTILE_VARIABLES))
    server.run_service()
    assert result.returncode == 0
    assert server.container_variables() == HOSTILE_VARIABLES
    assert not list(server.root.rglob("executed"))
    assert (server.root / "etc/service.env").stat().st_mode & 0o077 == 0


def test_an_image_with_docker_installs_nothing(server: Server) -> None:
    """A machine image of one's own starts faster, and need not be Amazon Linux."""
    (server.root / "bin/dnf").unlink()
    for program in ("docker", "docker-credential-ecr-login"):
        shutil.copy(server.root / "docker", server.root / "bin" / program)
    assert server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, {})).returncode == 0
    assert server.read("systemctl-calls").endswith("enable --now service\n")


def test_only_what_is_missing_is_installed(server: Server) -> None:
    """ECS-optimized images contain Docker, but not the credential helper."""
    shutil.copy(server.root / "docker", server.root / "bin/docker")
    assert server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, {})).returncode == 0
    assert server.read("dnf-calls") == "--assumeyes --quiet install amazon-ecr-credential-helper\n"


def test_a_locked_package_database_is_waited_for(server: Server) -> None:
    """On a server that boots, the agent of Systems Manager may update itself at the same time."""
    (server.root / "failures").write_text("3", encoding="utf-8")
    assert server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, {})).returncode == 0
    assert len(server.read("dnf-calls").splitlines()) == 4


def test_packages_that_cannot_be_installed_fail_the_script(server: Server) -> None:
    """The console output of the server then says why no container runs."""
    (server.root / "failures").write_text("100", encoding="utf-8")
    result = server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, {}))
    assert result.returncode == 1
    assert result.stderr.endswith("docker amazon-ecr-credential-helper could not be installed\n")
    assert not (server.root / "systemctl-calls").exists()


def test_an_unsuitable_machine_image_is_named(server: Server) -> None:
    """Without Docker and without dnf, no container can ever run."""
    (server.root / "bin/dnf").unlink()
    result = server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, {}))
    assert result.returncode == 1
    assert result.stderr == (
        "the machine image has no docker amazon-ecr-credential-helper, and no dnf to install it: "
        "use an image of Amazon Linux 2023\n"
    )


# --- reading it


def test_shellcheck_finds_nothing(tmp_path: Path) -> None:
    """The script has no mistake that shellcheck knows, whatever the variables are."""
    script = tmp_path / "start.sh"
    script.write_text(start_script(IMAGE, "us-east-1", LOG_GROUP, HOSTILE_VARIABLES), encoding="utf-8")
    result = subprocess.run([SHELLCHECK, script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def verify_unit(root: Path, unit: str) -> "subprocess.CompletedProcess[str]":
    """Let systemd check a unit, in a folder with what the unit refers to."""
    units = root / "usr/lib/systemd/system"
    write_executable(root / "usr/bin/docker", "#!/bin/sh\n")
    units.mkdir(parents=True, exist_ok=True)
    (units / "docker.service").write_text("[Service]\nExecStart=/usr/bin/docker\n", encoding="utf-8")
    for target in ("network-online", "sysinit", "basic", "multi-user", "shutdown"):
        (units / f"{target}.target").write_text("[Unit]\nDescription=A target\n", encoding="utf-8")
    (units / "service.service").write_text(unit, encoding="utf-8")
    command = ["systemd-analyze", "verify", "--man=no", f"--root={root}", "service.service"]
    return subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="only Linux with systemd can check units")
def test_systemd_accepts_the_unit(server: Server, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every key is known and every command can be executed; a misspelled key is found."""
    server.start(start_script(IMAGE, "us-east-1", LOG_GROUP, HOSTILE_VARIABLES))
    unit = server.read("etc/systemd/system/service.service")
    unit = unit.replace(f"{server.root}/etc", "/etc").replace(f"{server.root}/root", "/root")
    root = tmp_path_factory.mktemp("root")
    assert verify_unit(root, unit).stderr == ""
    assert "Restrat" in verify_unit(root, unit.replace("Restart=", "Restrat=")).stderr


def test_user_data_is_encoded() -> None:
    """EC2 takes user data in base64."""
    arguments = (IMAGE, "us-east-1", LOG_GROUP, {"A": "1"})
    assert base64.b64decode(encoded_start_script(*arguments)).decode() == start_script(*arguments)


# --- the registry


@pytest.mark.parametrize(
    ("registry", "account", "region"),
    [
        ("111111111111.dkr.ecr.eu-central-1.amazonaws.com", "111111111111", "eu-central-1"),
        ("222222222222.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "222222222222", "us-gov-west-1"),
        ("333333333333.dkr.ecr.cn-north-1.amazonaws.com.cn", "333333333333", "cn-north-1"),
        ("registry.example.com", None, None),
        ("ecr.example.com", None, None),
        ("111111111111.dkr.ecr.us-east-1.amazonaws.com.example.com", None, None),
    ],
)
def test_only_an_ecr_registry_has_an_account_and_a_region(
    server: Server, registry: str, account: str | None, region: str | None
) -> None:
    """Any other registry gets neither a login nor permissions."""
    assert (ecr_account(registry), ecr_region(registry)) == (account, region)
    server.start(start_script(f"{registry}/x@sha256:{'0' * 64}", "us-east-1", LOG_GROUP, {}))
    login = {"credHelpers": {registry: "ecr-login"}}
    assert json.loads(server.read("root/.docker/config.json")) == (login if region else {})


def test_an_image_has_a_registry_and_a_repository() -> None:
    """The repository may contain slashes, and the digest belongs to neither."""
    assert (registry_of(IMAGE), repository_of(IMAGE)) == (REGISTRY, "team/x")
