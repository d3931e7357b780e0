"""Pulumi's ResourceProvider protocol for AWS, on Terraform's AWS provider.

The engine's messages are generated without exported types, and property values are JSON-like: hence `Any`.
"""

import os
import threading
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from sandbox.bridge import configuration, input_checks, name_table, terraform
from sandbox.bridge.blocks import Block
from sandbox.bridge.bridge_error import BridgeError, returns_bridge_errors
from sandbox.bridge.conversion import to_terraform, unmapped_paths
from sandbox.bridge.diagnostics import errors_in, require_success, show_warnings
from sandbox.bridge.difference import difference
from sandbox.bridge.engine_warnings import EngineWarnings
from sandbox.bridge.name_table import NameTable
from sandbox.bridge.pulumi_values import UnsupportedAssetError, from_struct, to_struct, unwrap
from sandbox.bridge.resource import Resource
from sandbox.bridge.stored_state import to_outputs
from sandbox.bridge.terraform import TerraformProvider
from sandbox.bridge.type_mapping import TypeMapping, type_token


class AwsProvider(provider_pb2_grpc.ResourceProviderServicer):
    """The provider. The engine starts one process for each provider resource, so there is only one configuration.

    Attributes:
        warnings: What the user should know.
    """

    def __init__(self, binary: Path) -> None:
        """Start Terraform's provider in the background, because the engine's first calls do not need it."""
        self.binary = binary
        self.warnings = EngineWarnings()
        self.mappings: dict[tuple[str, bool], TypeMapping] = {}
        self.mappings_lock = threading.Lock()
        self.start_attempt_finished = threading.Event()
        self.start_error: Exception | None = None
        self.terraform: TerraformProvider | None = None
        self.names: NameTable | None = None
        self.region: str | None = None
        threading.Thread(target=self._start, daemon=True).start()

    def _start(self) -> None:
        try:
            self.names = name_table.load(self.binary)
            self.terraform = TerraformProvider(self.binary)
        except Exception as error:  # noqa: BLE001 whatever it is, the first call that needs the provider reports it
            self.start_error = error
        self.start_attempt_finished.set()
        if self.terraform:
            self.terraform.process.wait()  # it is killed when this thread ends, see terraform.start

    def _running(self) -> tuple[TerraformProvider, NameTable]:
        """Wait until Terraform's provider runs, and return it with the table of names."""
        self.start_attempt_finished.wait()
        if self.terraform is None or self.names is None:
            raise BridgeError(
                f"Terraform's AWS provider cannot be started: {self.start_error}", grpc.StatusCode.UNAVAILABLE
            ) from self.start_error
        return self.terraform, self.names

    def _mapping(self, token: str, *, is_data_source: bool = False) -> TypeMapping:
        _, names = self._running()
        with self.mappings_lock:
            if (token, is_data_source) not in self.mappings:
                entry = (names.functions if is_data_source else names.resources).get(token)
                if entry is None:
                    raise BridgeError(
                        f"the sandbox's AWS provider does not support {token}, because {self.binary.name} has no such "
                        "type. Pulumi's official AWS plugin may support it.",
                        grpc.StatusCode.UNIMPLEMENTED,
                    )
                self.mappings[token, is_data_source] = TypeMapping(entry)
            return self.mappings[token, is_data_source]

    def _resource(self, urn: str) -> Resource:
        provider, _ = self._running()
        return Resource(urn, self._mapping(type_token(urn)), provider, self.warnings, self.region)

    def kill(self) -> None:
        """Kill Terraform's provider."""
        if self.terraform:
            self.terraform.kill()

    # --- the plugin and its configuration; the protocol sets the names of the methods

    def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Return the version of pulumi-aws that the bridge replaces."""
        return plugin_pb2.PluginInfo(version=installed_version("pulumi_aws"))

    def Handshake(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Return what this provider supports."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=False, accept_outputs=False)

    def Attach(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Accept an engine that attaches later."""
        return empty_pb2.Empty()

    def GetSchema(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Return an empty schema. Programs do not need it, because they have pulumi_aws."""
        return provider_pb2.GetSchemaResponse(schema="{}")

    def CheckConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Accept all settings. Configure checks them."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Return which settings changed. Without DIFF_SOME, the engine would continue with the old settings."""
        old, new = from_struct(request.olds), from_struct(request.news)
        changed = configuration.changed_settings(old, new)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
            replaces=[setting for setting in changed if configuration.replaces_resources(setting, new)],
        )

    @returns_bridge_errors
    def Configure(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Configure Terraform's provider. Refuse every endpoint that is not on this machine."""
        configuration.require_emulator(os.environ)
        provider, names = self._running()
        settings = configuration.DEFAULT_SETTINGS | self._usable_settings(from_struct(request.args))
        block = Block(names.provider_schema.block, names.provider_spec)
        unmapped = list(unmapped_paths(block, settings))
        if unmapped:
            self.warnings.show(
                "these provider settings have no effect in the sandbox, because Terraform's AWS provider does not have "
                f"them: {', '.join(unmapped)}"
            )
        self.region = settings.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        config = to_terraform(block, settings)
        require_success(provider.prepare(config).diagnostics, self.warnings)
        require_success(provider.configure(config).diagnostics, self.warnings)
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, supportsPreview=True, acceptResources=False, acceptOutputs=False
        )

    def _usable_settings(self, arguments: dict[str, Any]) -> dict[str, Any]:
        settings = configuration.settings_in(arguments)
        for key in [key for key in settings if key in configuration.CREDENTIAL_SETTINGS]:
            del settings[key]
            self.warnings.show_once(
                f"the setting aws:{key} has no effect in the sandbox, which has its own credentials and endpoint"
            )
        return settings

    def Cancel(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        """Ask Terraform's provider to interrupt its operations in progress."""
        if self.terraform:
            try:
                self.terraform.stop()
            except grpc.RpcError:  # it has already exited
                return empty_pb2.Empty()
        return empty_pb2.Empty()

    # --- resources

    @returns_bridge_errors
    def Check(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Validate a resource's inputs, and give the resource an automatic name if the program sets none."""
        resource = self._resource(request.urn)
        mapping = resource.mapping
        new = {key: value for key, value in from_struct(request.news).items() if not key.startswith("__")}
        old = from_struct(request.olds)
        logical_name = request.urn.split("::")[-1]
        failures = input_checks.set_automatic_name(mapping, logical_name, request.randomSeed, new, old)
        if not failures and old and {key: value for key, value in old.items() if value is not None} == new:
            return provider_pb2.CheckResponse(inputs=to_struct(new))  # an earlier Check has validated the same inputs
        try:
            inputs = unwrap(new)
        except UnsupportedAssetError as error:
            raise BridgeError(str(error), grpc.StatusCode.INVALID_ARGUMENT) from error
        failures += input_checks.remove_region(mapping, inputs, self.region)
        input_checks.remove_unsupported(mapping, inputs, request.urn, self.warnings)
        failures += input_checks.unmapped_failures(mapping, inputs, self.binary.name)
        reply = resource.provider.validate_resource(mapping.terraform_type, to_terraform(mapping.block, inputs))
        show_warnings(reply.diagnostics, self.warnings, request.urn)
        failures += input_checks.validation_failures(mapping, reply.diagnostics)
        return provider_pb2.CheckResponse(inputs=to_struct(new), failures=failures)

    @returns_bridge_errors
    def Diff(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Return what an update would change, as Terraform plans it."""
        resource = self._resource(request.urn)
        mapping = resource.mapping
        inputs = from_struct(request.news)
        prior = resource.prior_state(from_struct(request.olds), request.id)
        effective_inputs = mapping.restore_ignored(inputs, prior.attributes, request.ignoreChanges)
        config = mapping.to_config(effective_inputs, prior.attributes.get("timeouts"))
        plan = resource.plan(prior, config)
        return difference(
            mapping,
            prior.attributes,
            plan.attributes,
            config=config,
            inputs=inputs,
            replacing_attributes=plan.replacing_attributes,
        )

    @returns_bridge_errors
    def Create(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Create a resource; in a preview, return its planned outputs."""
        resource = self._resource(request.urn)
        mapping = resource.mapping
        inputs = from_struct(request.properties)
        config = mapping.to_config(unwrap(inputs), mapping.timeouts("create", request.timeout))
        plan = resource.plan(None, config)
        if request.preview:
            return provider_pb2.CreateResponse(properties=to_struct(resource.planned_outputs(plan, inputs)))
        state = resource.apply(None, plan, config, inputs)
        return provider_pb2.CreateResponse(
            id=mapping.resource_id(state.attributes), properties=to_struct(resource.outputs(state, inputs))
        )

    @returns_bridge_errors
    def Update(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Update a resource in place; in a preview, return its planned outputs."""
        resource = self._resource(request.urn)
        mapping = resource.mapping
        inputs = from_struct(request.news)
        state = resource.prior_state(from_struct(request.olds), request.id)
        timeouts = mapping.timeouts("update", request.timeout) or state.attributes.get("timeouts")
        config = mapping.to_config(mapping.restore_ignored(inputs, state.attributes, request.ignoreChanges), timeouts)
        plan = resource.plan(state, config)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=to_struct(resource.planned_outputs(plan, inputs)))
        if resource.changes_nothing(plan, state):
            # The engine updates a partially created resource even if its inputs are the same. Terraform never applies
            # a plan without changes, and some resources fail on one. So the resource is read again, and what its
            # creation did not complete is planned.
            state = resource.read_existing(state)
            plan = resource.plan(state, config)
        if not resource.changes_nothing(plan, state):
            state = resource.apply(state, plan, config, inputs)
        return provider_pb2.UpdateResponse(properties=to_struct(resource.outputs(state, inputs)))

    @returns_bridge_errors
    def Delete(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Delete a resource."""
        resource = self._resource(request.urn)
        resource.delete(resource.prior_state(from_struct(request.properties), request.id), request.timeout)
        return empty_pb2.Empty()

    @returns_bridge_errors
    def Read(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Refresh a resource, or import one by its ID. The response is empty if the resource does not exist.

        As in Pulumi's bridge, a resource without any properties is imported. One whose properties the bridge has not
        written, such as a resource of an interrupted update, is read by its ID in Terraform's state.
        """
        resource = self._resource(request.urn)
        properties, inputs = from_struct(request.properties), from_struct(request.inputs)
        is_import = not properties
        state = resource.find(request.id) if is_import else resource.prior_state(properties, request.id)
        state = resource.read(state) if state else None
        if state is None:
            return provider_pb2.ReadResponse()
        outputs = resource.outputs(state, inputs)
        if is_import:
            inputs = resource.mapping.imported_inputs(outputs)
        return provider_pb2.ReadResponse(
            id=resource.mapping.resource_id(state.attributes), properties=to_struct(outputs), inputs=to_struct(inputs)
        )

    # --- data sources

    @returns_bridge_errors
    def Invoke(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Read a data source."""
        provider, _ = self._running()
        mapping = self._mapping(request.tok, is_data_source=True)
        arguments = unwrap(from_struct(request.args))
        if not mapping.region_is_argument:
            arguments.pop("region", None)
        config = to_terraform(mapping.block, arguments)
        failures = input_checks.unmapped_failures(mapping, arguments, self.binary.name)
        validation = provider.validate_data_source(mapping.terraform_type, config)
        failures += [input_checks.failure("", error) for error in errors_in(validation.diagnostics)]
        if failures:
            return provider_pb2.InvokeResponse(failures=failures)
        reply = provider.read_data_source(mapping.terraform_type, config)
        require_success(reply.diagnostics, self.warnings)
        outputs = to_outputs(mapping, terraform.decode(reply.state), {}, self.region)
        fields: dict[str, Any] = {"return": to_struct(outputs)}  # the field's name is a keyword of Python
        return provider_pb2.InvokeResponse(**fields)
