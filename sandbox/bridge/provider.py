"""pulumi-resource-aws on Terraform's AWS provider: Pulumi's ResourceProvider protocol.

The engine's and Terraform's messages are generated without exported types, and property maps are JSON-like: hence `Any`.
"""

import base64
import json
import os
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from google.rpc import status_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.bridge import automatic_names, gaps, table, terraform, values
from sandbox.bridge.values import PULUMI_UNKNOWN, Block, from_terraform, plain, to_terraform

# The first two are pulumi-aws's own defaults; an emulator that is gone is given up after seconds, not after 25 tries.
DEFAULT_SETTINGS = {"skipMetadataApiCheck": True, "skipRegionValidation": True, "maxRetries": 5}
STRING_SETTINGS = {"region"}  # settings that are never JSON, whatever they look like
TIMEOUTS_KEY = "e2bfb730-ecaa-11e6-8f88-34363bc7c4c0"  # where Terraform's SDK keeps timeouts in private state
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
PropertyDiff = provider_pb2.PropertyDiff
KINDS = {
    "add": (PropertyDiff.ADD, PropertyDiff.ADD_REPLACE),
    "delete": (PropertyDiff.DELETE, PropertyDiff.DELETE_REPLACE),
    "update": (PropertyDiff.UPDATE, PropertyDiff.UPDATE_REPLACE),
}


def to_python(struct: Any) -> dict[str, Any]:
    """Return a Struct as a dictionary."""
    return {key: value_of(value) for key, value in struct.fields.items()}


def value_of(value: Any) -> Any:
    """Return a protobuf Value as Python has it."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return to_python(value.struct_value)
    if kind == "list_value":
        return [value_of(item) for item in value.list_value.values]
    return None if kind in {None, "null_value"} else getattr(value, kind)


def to_struct(value: Mapping[str, Any]) -> Any:
    """Return a dictionary as a Struct."""
    out = struct_pb2.Struct()
    out.update(value)
    return out


def as_json(value: Any) -> str:
    """Return a Terraform object as JSON text."""
    return json.dumps(value, default=lambda _: PULUMI_UNKNOWN)


def type_token(urn: str) -> str:
    """Return a URN's own type."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


class Kind:
    """One resource type or data source: its schema under Pulumi's names."""

    def __init__(self, data: bytes) -> None:
        """Read an entry of the table."""
        names, schema = table.entry(data)
        self.terraform_type: str = names["type"]
        self.required, self.secrets, self.has_region = set(names["required"]), set(names["secrets"]), bool(names["region"])
        self.version, self.block = schema.version, Block(schema.block, names["spec"])
        self.sensitive = {a.name for a in schema.block.attributes if a.sensitive}
        self.sensitive |= {b.type_name for b in schema.block.block_types if any(a.sensitive for a in b.block.attributes)}
        self.dropped = gaps.DROPPED.get(self.terraform_type, {})
        self.automatic = automatic_names.field(self.terraform_type, self.block, self.required)
        self.automatic_key = self.block.pulumi_name(self.automatic) if self.automatic else None


@dataclass
class Prior:
    """What Terraform knows of a resource: its state, and the provider's private bytes."""

    state: dict[str, Any]
    private: bytes


class Aws(provider_pb2_grpc.ResourceProviderServicer):
    """One configured provider resource; the engine starts a process for each."""

    def __init__(self, binary: Path) -> None:
        """Start Terraform's provider in the background: the engine's first calls do not need it yet."""
        self.binary = binary
        self.engine: Any = None
        self.kinds: dict[tuple[str, bool], Kind] = {}
        self.told: set[str] = set()
        self.lock, self.ready = threading.Lock(), threading.Event()
        self.failure: Exception | None = None
        self.process: Any = None
        self.client: Any = None
        self.names: Any = None
        self.region: str | None = None
        threading.Thread(target=self._start, daemon=True).start()

    def tell(self, engine_address: str) -> None:
        """Say whom to tell what the user should know; with an empty address nobody is told."""
        self.engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine_address)) if engine_address else None

    def _start(self) -> None:
        try:
            self.names = table.load(self.binary)
            self.process, self.client = terraform.start(self.binary)
        except Exception as error:  # noqa: BLE001 any reason must reach the engine, through _wait
            self.failure = error
        self.ready.set()
        if self.process:
            self.process.wait()  # its death signal is tied to the thread that started it

    def _wait(self, context: Any) -> None:
        self.ready.wait()
        if self.failure:
            context.abort(grpc.StatusCode.UNAVAILABLE, f"aws bridge: {self.failure}")

    # --- helpers

    def _kind(self, context: Any, token: str, *, data: bool = False) -> Kind:
        self._wait(context)
        with self.lock:
            if (token, data) not in self.kinds:
                entry = (self.names.functions if data else self.names.resources).get(token)
                if entry is None:
                    context.abort(grpc.StatusCode.UNIMPLEMENTED, f"aws bridge: {token} has no counterpart in {self.binary.name}; it needs the official plugin")
                self.kinds[token, data] = Kind(entry)
            return self.kinds[token, data]

    def _log(self, severity: Any, message: str, urn: str = "") -> None:
        if self.engine:
            try:
                self.engine.Log(engine_pb2.LogRequest(severity=severity, message=message, urn=urn))
            except grpc.RpcError:  # the engine is going away: there is nobody left to tell
                return

    def _tell_once(self, message: str, urn: str = "") -> None:
        with self.lock:
            if message in self.told:
                return
            self.told.add(message)
        self._log(engine_pb2.WARNING, message, urn)

    def _check(self, context: Any, diagnostics: Any, urn: str = "") -> None:
        for diagnostic in diagnostics:
            if diagnostic.severity == terraform.WARNING:
                self._log(engine_pb2.WARNING, terraform.text_of(diagnostic), urn)
        errors = terraform.errors_of(diagnostics)
        if errors:
            context.abort(grpc.StatusCode.UNKNOWN, "\n".join(errors))

    def _outputs(self, kind: Kind, state: dict[str, Any], private: bytes, inputs: dict[str, Any], *, preview: bool = False) -> dict[str, Any]:
        """Return the outputs of a Terraform object; secret where the schema, the SDK or an input says so."""
        out = from_terraform(kind.block, state)
        if kind.has_region and self.region:
            out.setdefault("region", self.region)
        hidden = {key for name in kind.sensitive if (key := kind.block.pulumi_name(name)) in out}
        hidden |= {key for key in kind.secrets if key in out} | {key for key, value in inputs.items() if key in out and values.has_secret(value)}
        for key in hidden:
            out[key] = values.secret(out[key])
        if not preview:
            meta = json.dumps({"state": as_json(state), "private": base64.b64encode(private).decode(), "version": kind.version})
            out["__meta"] = values.secret(meta) if hidden else meta
        return out

    def _prior(self, context: Any, kind: Kind, outputs: dict[str, Any], identity: str) -> Prior:
        """Return Terraform's state from the outputs that Pulumi kept, upgraded where an older provider wrote it."""
        meta_text = plain(outputs.get("__meta"))
        if not meta_text:
            state = to_terraform(kind.block, plain(outputs), [])
            if "id" in state:
                state["id"] = identity
            return Prior(state, b"")
        meta = json.loads(meta_text)
        state, private = json.loads(meta["state"]), base64.b64decode(meta["private"])
        if meta["version"] != kind.version:
            raw = terraform.pb.RawState(json=meta["state"].encode())
            reply = self.client.UpgradeResourceState(terraform.pb.UpgradeResourceState.Request(type_name=kind.terraform_type, version=meta["version"], raw_state=raw))
            self._check(context, reply.diagnostics)
            state = terraform.decode(reply.upgraded_state)
        return Prior(state, private)

    def _config(self, kind: Kind, inputs: Any, timeouts: Any = None) -> dict[str, Any]:
        given = {key: value for key, value in inputs.items() if (key != "region" or "region" in kind.block.by_pulumi_name) and key not in kind.dropped}
        config = to_terraform(kind.block, given, [])
        if timeouts and "timeouts" in config:
            config["timeouts"] = timeouts
        return config

    def _inputs(self, kind: Kind, inputs: dict[str, Any], prior: Prior, ignored: Any) -> dict[str, Any]:
        """Return plain inputs, with what ignoreChanges names put back to what it was."""
        given: dict[str, Any] = plain(inputs)
        if ignored:
            before = from_terraform(kind.block, prior.state)
            for path in ignored:
                steps = values.parse_path(path)
                name = kind.block.by_pulumi_name.get(str(steps[0])) if steps else None
                if name and not kind.block.computed_only(name):
                    given = values.with_ignored(given, before, steps)
        return given

    @staticmethod
    def _timeouts(kind: Kind, operation: str, seconds: float) -> dict[str, Any] | None:
        block = kind.block.blocks.get("timeouts")
        if not seconds or not block or operation not in block[1].attributes:
            return None
        return {**dict.fromkeys(block[1].attributes), operation: f"{int(seconds)}s"}

    def _plan(self, context: Any, kind: Kind, prior: Prior | None, config: dict[str, Any], urn: str) -> Any:
        state, private = (prior.state, prior.private) if prior else (None, b"")
        reply = self.client.PlanResourceChange(
            terraform.pb.PlanResourceChange.Request(
                type_name=kind.terraform_type,
                prior_state=terraform.encode(state),
                proposed_new_state=terraform.encode(values.proposed(kind.block, state, config)),
                config=terraform.encode(config),
                prior_private=private,
            )
        )
        self._check(context, reply.diagnostics, urn)
        return reply

    def _read_again(self, context: Any, kind: Kind, prior: Prior, urn: str) -> Prior:
        request = terraform.pb.ReadResource.Request(type_name=kind.terraform_type, current_state=terraform.encode(prior.state), private=prior.private)
        reply = self.client.ReadResource(request)
        self._check(context, reply.diagnostics, urn)
        state = terraform.decode(reply.new_state)
        if state is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{urn} is in the state, and AWS does not have it: run `pulumi refresh`, then the same command again")
        return Prior(state, reply.private)

    def _apply(self, kind: Kind, prior: Prior | None, planned: Any, config: Any, private: bytes) -> Any:
        return self.client.ApplyResourceChange(
            terraform.pb.ApplyResourceChange.Request(
                type_name=kind.terraform_type,
                prior_state=terraform.encode(prior.state if prior else None),
                planned_state=planned,
                config=terraform.encode(config),
                planned_private=private,
            )
        )

    @staticmethod
    def _identify(kind: Kind, state: dict[str, Any]) -> str:
        """Return a resource's id; 81 types have none: their ARN, else their required arguments joined."""
        if state.get("id"):
            return str(state["id"])
        if state.get("arn"):
            return str(state["arn"])
        return ",".join(str(state[name]) for name, (_, a) in kind.block.attributes.items() if a.required and isinstance(state[name], str | int))

    def _settle(self, context: Any, kind: Kind, urn: str, reply: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the object after an apply. One half made is reported with its state, so that the engine keeps it."""
        state, errors = terraform.decode(reply.new_state), terraform.errors_of(reply.diagnostics)
        for diagnostic in reply.diagnostics:
            if diagnostic.severity == terraform.WARNING:
                self._log(engine_pb2.WARNING, terraform.text_of(diagnostic), urn)
        if not errors:
            return dict(state)
        if state is None or not self._identify(kind, state):
            context.abort(grpc.StatusCode.UNKNOWN, "\n".join(errors))
        kept = provider_pb2.ErrorResourceInitFailed(
            id=self._identify(kind, state), properties=to_struct(self._outputs(kind, state, reply.private, inputs)), reasons=errors, inputs=to_struct(inputs)
        )
        detail = any_pb2.Any()
        detail.Pack(kept)
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=errors[0], details=[detail])
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.UNKNOWN, errors[0])
        raise AssertionError  # abort raises

    # --- plugin and configuration (the names of methods are the protocol's)

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Say which version of pulumi-aws this stands for."""
        from importlib.metadata import version  # noqa: PLC0415 once a process

        return plugin_pb2.PluginInfo(version=version("pulumi_aws"))

    def Handshake(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Say what this provider understands."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=False)

    def Attach(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Accept an engine that attaches later."""
        return empty_pb2.Empty()

    def GetSchema(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Return an empty schema: programs have pulumi_aws."""
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Accept the settings; Configure looks at them."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Tell which settings changed. DIFF_SOME matters: without it the engine goes on with the old ones. A new region replaces everything."""
        old, new = to_python(request.olds), to_python(request.news)
        changed = [key for key in sorted({*old, *new}) if key not in {"version", "pluginDownloadURL"} and plain(old.get(key)) != plain(new.get(key))]
        replaced = [key for key in changed if key == "region" and plain(new.get(key)) != PULUMI_UNKNOWN]
        changes = provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(changes=changes, diffs=changed, replaces=replaced)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Configure Terraform's provider. Refuses any endpoint but one on this machine: the bridge is for the sandbox alone."""
        endpoints = {"AWS_ENDPOINT_URL": "", **{name: value for name, value in os.environ.items() if name.startswith("AWS_ENDPOINT_URL")}}
        endpoint = next((value for value in endpoints.values() if urllib.parse.urlparse(value).hostname not in LOOPBACK), None)
        if endpoint is not None or os.environ.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
            context.abort(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'aws bridge: the endpoint of AWS is {endpoint or "not set"}, and the sandbox\'s AWS provider only talks to an emulated AWS on this machine. Use ./infra, or run `eval "$(./infra env)"` first; for real AWS use the official CLI with its own plugins.',
            )
        self._wait(context)
        settings: dict[str, Any] = dict(DEFAULT_SETTINGS)
        for key, value in plain(to_python(request.args)).items():
            if key in {"version", "pluginDownloadURL"} or key.startswith("__"):
                continue
            if key in gaps.CREDENTIAL_SETTINGS:
                self._tell_once(f"the sandbox uses its own credentials and endpoint: the setting aws:{key} is not used here")
                continue
            settings[key] = value if key in STRING_SETTINGS else from_json(value)
        unmapped: list[str] = []
        block = Block(self.names.provider["schema"].block, self.names.provider["spec"])
        config = to_terraform(block, settings, unmapped)
        if unmapped:
            self._log(engine_pb2.WARNING, f"aws bridge: provider settings without a counterpart are not used: {', '.join(unmapped)}")
        self.region = settings.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        encoded = terraform.encode(config)
        self._check(context, self.client.PrepareProviderConfig(terraform.pb.PrepareProviderConfig.Request(config=encoded)).diagnostics)
        self._check(context, self.client.Configure(terraform.pb.Configure.Request(terraform_version="1.11.4", config=encoded)).diagnostics)
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False)

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Ask Terraform's provider to stop what it waits for."""
        if self.client:
            try:
                self.client.Stop(terraform.pb.Stop.Request(), timeout=5)
            except grpc.RpcError:
                return empty_pb2.Empty()
        return empty_pb2.Empty()

    # --- resources

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Validate a resource's inputs, name it where the program does not, and refuse what has no counterpart."""
        kind = self._kind(context, type_token(request.urn))
        news, olds = to_python(request.news), to_python(request.olds)
        failures: list[Any] = []

        def refuse(key: str, reason: str) -> None:
            failures.append(provider_pb2.CheckFailure(property=key, reason=reason))

        for key in [key for key in news if key.startswith("__")]:
            del news[key]
        self._name(kind, request, news, olds, refuse)
        if not failures and olds and {k: v for k, v in olds.items() if v is not None} == news:
            return provider_pb2.CheckResponse(inputs=to_struct(news))  # this provider has validated the same inputs before
        try:
            properties = plain(news)
        except values.UnmappableError as error:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"aws bridge: {error}")
        self._take_out(kind, request.urn, properties, refuse)
        unmapped: list[str] = []
        config = to_terraform(kind.block, properties, unmapped)
        for path in unmapped:
            refuse(path, f"{kind.terraform_type} of {self.binary.name} has no such argument; the official plugin may: the sandbox's bridge cannot pass it on")
        reply = self.client.ValidateResourceTypeConfig(terraform.pb.ValidateResourceTypeConfig.Request(type_name=kind.terraform_type, config=terraform.encode(config)))
        for diagnostic in reply.diagnostics:
            if diagnostic.severity == terraform.WARNING:
                self._log(engine_pb2.WARNING, terraform.text_of(diagnostic), request.urn)
                continue
            top = diagnostic.attribute.steps[0].attribute_name if diagnostic.attribute.steps else ""
            refuse(kind.block.pulumi_name(top) or "", terraform.text_of(diagnostic))
        return provider_pb2.CheckResponse(inputs=to_struct(news), failures=failures)

    @staticmethod
    def _name(kind: Kind, request: Any, news: dict[str, Any], olds: dict[str, Any], refuse: Callable[[str, str], None]) -> None:
        """Fill in an automatic name, the same as before where there was one; `__defaults` remembers that it is automatic."""
        key = kind.automatic_key
        if not key or news.get(key) is not None or news.get(key + "Prefix") is not None:
            return
        if key in (olds.get("__defaults") or []) and olds.get(key):
            news[key] = olds[key]
        else:
            fifo = plain(news.get("fifoQueue") or news.get("fifoTopic")) is True
            try:
                news[key] = automatic_names.unique(kind.terraform_type, request.urn.split("::")[-1], request.randomSeed, fifo=fifo)
            except ValueError as error:
                refuse(key, str(error))
        news["__defaults"] = [key]

    def _take_out(self, kind: Kind, urn: str, properties: dict[str, Any], refuse: Callable[[str, str], None]) -> None:
        """Take out what is not passed on: the provider's own region, and the gaps of the emulator, which are told."""
        if "region" in properties and "region" not in kind.block.by_pulumi_name and properties.pop("region") not in {self.region, PULUMI_UNKNOWN}:
            refuse("region", "Terraform's AWS provider 5 takes the region from its configuration only: use an explicit provider")
        for key, why in kind.dropped.items():
            if properties.pop(key, None) is not None:
                self._tell_once(f"not in the sandbox: {kind.terraform_type}.{key} ({why}); a real environment has it", urn)

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Compare what is with what the program wants, as Terraform plans it."""
        kind = self._kind(context, type_token(request.urn))
        news = to_python(request.news)
        prior = self._prior(context, kind, to_python(request.olds), request.id)
        config = self._config(kind, self._inputs(kind, news, prior, request.ignoreChanges), prior.state.get("timeouts"))
        reply = self._plan(context, kind, prior, config, request.urn)
        planned = terraform.decode(reply.planned_state)
        if planned == prior.state:  # the quick way; most are
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        before, after = values.comparable_block(kind.block, prior.state), values.comparable_block(kind.block, planned)
        changed = [name for name in after if name != "timeouts" and before.get(name) != after[name]]
        if not changed:
            return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)
        replacing = {path.steps[0].attribute_name for path in reply.requires_replace} & set(changed)
        # tags_all follows from tags and the provider's default tags: shown only where nothing else says what changed.
        shown = [name for name in changed if not kind.block.computed_only(name) and name != "tags_all"] or changed
        old = from_terraform(kind.block, {name: prior.state.get(name) for name in shown})
        new = from_terraform(kind.block, {name: planned[name] for name in shown})

        def owner(path: str) -> str | None:
            return kind.block.by_pulumi_name.get(re.split(r"[.\[]", path)[0])

        detail = {path: PropertyDiff(kind=KINDS[how][owner(path) in replacing]) for path, how in values.differing_paths(old, new)}
        if not detail:
            detail = {kind.block.pulumi_name(name) or name: PropertyDiff(kind=KINDS["update"][name in replacing]) for name in shown}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME,
            diffs=[kind.block.pulumi_name(name) or name for name in shown],
            replaces=[kind.block.pulumi_name(name) or name for name in replacing],
            detailedDiff=detail,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replacing) and has_fixed_name(kind, news, changed),
        )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Create a resource, or say what it would be."""
        kind = self._kind(context, type_token(request.urn))
        inputs = to_python(request.properties)
        config = self._config(kind, plain(inputs), self._timeouts(kind, "create", request.timeout))
        reply = self._plan(context, kind, None, config, request.urn)
        if request.preview:
            planned = terraform.decode(reply.planned_state)
            return provider_pb2.CreateResponse(properties=to_struct(self._outputs(kind, planned, b"", inputs, preview=True)))
        applied = self._apply(kind, None, reply.planned_state, config, reply.planned_private)
        state = self._settle(context, kind, request.urn, applied, inputs)
        return provider_pb2.CreateResponse(id=self._identify(kind, state), properties=to_struct(self._outputs(kind, state, applied.private, inputs)))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Update a resource in place, or say what it would be."""
        kind = self._kind(context, type_token(request.urn))
        inputs = to_python(request.news)
        prior = self._prior(context, kind, to_python(request.olds), request.id)
        timeouts = self._timeouts(kind, "update", request.timeout) or prior.state.get("timeouts")
        config = self._config(kind, self._inputs(kind, inputs, prior, request.ignoreChanges), timeouts)
        reply = self._plan(context, kind, prior, config, request.urn)
        planned = terraform.decode(reply.planned_state)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_struct(self._outputs(kind, planned, b"", inputs, preview=True)))
        if is_same(kind, prior.state, planned):
            # The engine goes on with what a failed creation half made. Terraform applies no plan without changes (some
            # resources fail on one), so what is there is read, and what is then found missing is applied.
            prior = self._read_again(context, kind, prior, request.urn)
            reply = self._plan(context, kind, prior, config, request.urn)
            if is_same(kind, prior.state, terraform.decode(reply.planned_state)):
                return provider_pb2.UpdateResponse(properties=to_struct(self._outputs(kind, prior.state, prior.private, inputs)))
        applied = self._apply(kind, prior, reply.planned_state, config, reply.planned_private)
        state = self._settle(context, kind, request.urn, applied, inputs)
        return provider_pb2.UpdateResponse(properties=to_struct(self._outputs(kind, state, applied.private, inputs)))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Delete a resource. A timeout travels in the private state: Terraform's protocol has no other place for it."""
        kind = self._kind(context, type_token(request.urn))
        prior = self._prior(context, kind, to_python(request.properties), request.id)
        private = prior.private
        if self._timeouts(kind, "delete", request.timeout):
            meta = json.loads(private or b"{}")
            meta.setdefault(TIMEOUTS_KEY, {})["delete"] = int(request.timeout * 1e9)
            private = json.dumps(meta).encode()
        applied = self._apply(kind, prior, terraform.encode(None), None, private)
        self._check(context, applied.diagnostics, request.urn)
        return empty_pb2.Empty()

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Refresh a resource, or import one by its id."""
        kind = self._kind(context, type_token(request.urn))
        properties, inputs = to_python(request.properties), to_python(request.inputs)
        importing = "__meta" not in properties
        if importing:
            reply = self.client.ImportResourceState(terraform.pb.ImportResourceState.Request(type_name=kind.terraform_type, id=request.id))
            self._check(context, reply.diagnostics, request.urn)
            found = next((item for item in reply.imported_resources if item.type_name == kind.terraform_type), None)
            if found is None:
                return provider_pb2.ReadResponse()
            prior = Prior(terraform.decode(found.state), found.private)
        else:
            prior = self._prior(context, kind, properties, request.id)
        read = self.client.ReadResource(terraform.pb.ReadResource.Request(type_name=kind.terraform_type, current_state=terraform.encode(prior.state), private=prior.private))
        self._check(context, read.diagnostics, request.urn)
        state = terraform.decode(read.new_state)
        if state is None:
            return provider_pb2.ReadResponse()
        outputs = self._outputs(kind, state, read.private, inputs)
        if importing:
            inputs = imported_inputs(kind, outputs)
        return provider_pb2.ReadResponse(id=self._identify(kind, state), properties=to_struct(outputs), inputs=to_struct(inputs))

    # --- data sources

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Read a data source."""
        kind = self._kind(context, request.tok, data=True)
        arguments = plain(to_python(request.args))
        unmapped: list[str] = []
        if "region" not in kind.block.by_pulumi_name:
            arguments.pop("region", None)
        config = to_terraform(kind.block, arguments, unmapped)
        failures = [provider_pb2.CheckFailure(property=path, reason=f"{kind.terraform_type} has no such argument") for path in unmapped]
        reply = self.client.ValidateDataSourceConfig(terraform.pb.ValidateDataSourceConfig.Request(type_name=kind.terraform_type, config=terraform.encode(config)))
        failures += [provider_pb2.CheckFailure(reason=error) for error in terraform.errors_of(reply.diagnostics)]
        if failures:
            return provider_pb2.InvokeResponse(failures=failures)
        read = self.client.ReadDataSource(terraform.pb.ReadDataSource.Request(type_name=kind.terraform_type, config=terraform.encode(config)))
        self._check(context, read.diagnostics)
        return provider_pb2.InvokeResponse(**{"return": to_struct(self._outputs(kind, terraform.decode(read.state), b"", {}, preview=True))})


def is_same(kind: Kind, prior: dict[str, Any], planned: Any) -> bool:
    """Tell whether a plan changes nothing, timeouts aside."""
    before, after = values.comparable_block(kind.block, {**prior, "timeouts": None}), values.comparable_block(kind.block, {**planned, "timeouts": None})
    return bool(before == after)


def from_json(value: Any) -> Any:
    """Return a provider setting: the engine sends what is not a string as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return plain(json.loads(value))
    except ValueError:
        return value


def has_fixed_name(kind: Kind, inputs: dict[str, Any], changed: list[str]) -> bool:
    """Tell whether the program fixed the physical name and keeps it: two of that name cannot exist side by side."""
    key = kind.automatic_key
    return bool(key) and key not in (inputs.get("__defaults") or []) and not inputs.get(f"{key}Prefix") and kind.automatic not in changed


def imported_inputs(kind: Kind, outputs: dict[str, Any]) -> dict[str, Any]:
    """Return what a program would have to say to describe an imported resource."""
    out: dict[str, Any] = {"__defaults": []}
    for key, value in outputs.items():
        name = kind.block.by_pulumi_name.get(key)
        if name in {None, "id", "tags_all", "timeouts"} or kind.block.computed_only(str(name)) or plain(value) in ("", [], {}, False, 0):
            continue
        out[key] = value
    return out
