"""What clients say of a task, a job and a pool, with defaults for what they do not say (§2.2, §2bis)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BeforeValidator, JsonValue

from qarnot_local.wire_model import Sent, WireModel

CACHE_SECONDS = 7_776_000
NO_GUID = "00000000-0000-0000-0000-000000000000"


def _id(value: object) -> object:
    """C# says "none" by an empty id."""
    return None if value in ("", NO_GUID) else value


def _text(value: object) -> object:
    """Values of constants may be numbers (§2.2). Lists and objects are no values."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else None if isinstance(value, list | dict) else value


_Id = Annotated[str | None, BeforeValidator(_id)]


class Constant(WireModel):
    key: str = ""
    value: Annotated[str | None, BeforeValidator(_text)] = None


class ForcedConstant(Sent):
    constant_name: str | None = None
    forced_value: str | None = None
    force_export_in_environment: bool | None = None
    access: str | None = None


class Prefix(Sent):
    prefix: str | None = None


class Filtering(Sent):
    prefix_filtering: Prefix | None = None


class Transformation(Sent):
    strip_prefix: Prefix | None = None


class Bucket(WireModel):
    """A bucket whose objects come along, some of them, or under other names."""

    bucket_name: str = ""
    filtering: Filtering = Filtering()
    resources_transformation: Transformation = Transformation()
    cache_ttl_sec: int = CACHE_SECONDS

    @property
    def prefix(self) -> str:
        """What the keys of the objects begin with."""
        return (self.filtering.prefix_filtering or Prefix()).prefix or ""

    @property
    def stripped(self) -> str:
        """What is removed from the beginning of the keys."""
        return (self.resources_transformation.strip_prefix or Prefix()).prefix or ""


class GivenRule(Sent):
    inbound: bool | None = None
    proto: str | None = None
    port: str | None = None
    to: str | None = None
    public_host: str | None = None
    public_port: str | None = None
    forwarder: str | None = None
    priority: str | None = None
    description: str | None = None
    to_q_box: bool | None = None
    to_payload: bool | None = None
    name: str | None = None  # this and the next only in the SDKs
    application_type: str | None = None


class HardwareConstraint(Sent):
    discriminator: str | None = None
    specification_key: str | None = None
    cpu_model: str | None = None
    core_count: int | None = None
    minimum_memory_mb: float | None = None
    maximum_memory_mb: float | None = None
    minimum_memory_gb_core_ratio: float | None = None
    maximum_memory_gb_core_ratio: float | None = None


class Privileges(WireModel):
    export_api_and_storage_credentials_in_environment: bool = False


class SecretKey(WireModel):
    key: str = ""


class SecretRights(WireModel):
    by_secret: list[SecretKey] = []
    by_prefix: list[Prefix] = []


class RetrySettings(WireModel):
    max_total_retries: int | None = None
    max_per_instance_retries: int | None = None


class AdvancedDependency(Sent):
    task_uuid: str = ""
    task_final_state_condition: list[str] | None = None


class Dependencies(Sent):
    depends_on: list[str] = []
    advanced_depends_on: list[AdvancedDependency] | None = None

    @property
    def named(self) -> list[str]:
        """The ids of all tasks that are waited for."""
        return [*self.depends_on, *(each.task_uuid for each in self.advanced_depends_on or [])]


class ElasticProperty(WireModel):
    is_elastic: bool = False
    min_total_slots: int = 0
    max_total_slots: int = 0
    min_idle_slots: int = 0
    resize_period: int = 90  # seconds
    ramp_resize_factor: float = 0.4
    min_idle_time_seconds: int = 90


class Period(Sent):
    type: str | None = None
    name: str | None = None
    days: list[str] | None = None
    start_time_utc: str | None = None
    end_time_utc: str | None = None


class ScalingPolicy(Sent):
    type: str | None = None
    name: str | None = None
    enabled_periods: list[Period] | None = None
    slots_count: int | None = None
    scaling_factor: float | None = None
    min_total_slots: int | None = None
    max_total_slots: int | None = None
    min_idle_slots: int | None = None
    min_idle_time_seconds: int | None = None


class Scaling(WireModel):
    policies: list[ScalingPolicy] = []


class PreparationTask(Sent):
    command_line: str | None = None


class MultiSlotsSettings(WireModel):
    slots_per_node: int = 1


class Definition(WireModel):
    """What tasks and pools share."""

    name: str = ""
    shortname: _Id = None
    profile: str | None = None
    instance_count: int = 0
    constants: list[Constant] = []
    forced_constants: list[ForcedConstant] = []
    tags: list[str] = []
    labels: dict[str, JsonValue] = {}
    resource_buckets: list[str] = []
    advanced_resource_buckets: list[Bucket] = []
    default_resources_cache_ttl_sec: int = CACHE_SECONDS
    completion_time_to_live: str = "00:00:00"
    auto_delete_on_completion: bool = False
    scheduling_type: str = "flex"
    targeted_reserved_machine_key: str | None = None
    targeted_reservation_name: str | None = None
    privileges: Privileges = Privileges()
    forced_network_rules: list[GivenRule] = []
    secrets_access_rights: SecretRights = SecretRights()
    hardware_constraints: list[HardwareConstraint] = []
    project_uuid: _Id = None

    @property
    def constant_values(self) -> dict[str, str]:
        """The client's own, overridden by those that are forced; a forced null only says that there is such a one."""
        given = {each.key: each.value or "" for each in self.constants}
        return given | {
            each.constant_name: each.forced_value
            for each in self.forced_constants
            if each.constant_name and each.forced_value is not None
        }

    @property
    def buckets(self) -> list[Bucket]:
        """The buckets whose objects come along, whichever of the two lists they were given in."""
        return [
            *(Bucket.model_construct(bucket_name=name) for name in self.resource_buckets),
            *self.advanced_resource_buckets,
        ]


class TaskDefinition(Definition):
    second_names: ClassVar = {"resultsBucket": "resultBucket"}  # the vendor's document has both

    pool_uuid: _Id = None
    job_uuid: _Id = None
    advanced_ranges: str | None = None
    result_bucket: str | None = None
    results_bucket_prefix: str | None = None
    snapshot_bucket: str | None = None
    snapshot_bucket_prefix: str | None = None
    results_cache_ttl_sec: int = CACHE_SECONDS
    snapshot_whitelist: str = ""
    snapshot_blacklist: str = ""
    results_whitelist: str = ""
    results_blacklist: str = ""
    dependencies: Dependencies = Dependencies()
    max_time_queue_seconds: int | None = None
    upload_results_on_cancellation: bool = False
    wait_for_pool_resources_synchronization: bool | None = None
    retry_settings: RetrySettings = RetrySettings()
    max_retries_per_instance: int = 0


class JobDefinition(WireModel):
    name: str = ""
    shortname: _Id = None
    pool_uuid: _Id = None
    tags: list[str] = []
    use_dependencies: bool = False
    max_wall_time: str | None = None
    auto_delete_on_completion: bool = False
    completion_time_to_live: str = "00:00:00"


class PoolDefinition(Definition):
    elastic_property: ElasticProperty = ElasticProperty()
    scaling: Scaling = Scaling()
    preparation_task: PreparationTask | None = None
    task_default_wait_for_pool_resources_synchronization: bool | None = None
    default_retry_settings: RetrySettings = RetrySettings()
    multi_slots_settings: MultiSlotsSettings = MultiSlotsSettings()


class Update(WireModel):
    """What may be changed of a task or a pool that there is; a pool has more (§2.1)."""

    constants: list[Constant] | None = None
    tags: list[str] | None = None


class PoolUpdate(Update):
    elastic_property: ElasticProperty | None = None
    scaling: Scaling | None = None


class SnapshotRequest(WireModel):
    whitelist: str | None = None
    blacklist: str | None = None
    bucket: str | None = None
    bucket_prefix: str | None = None
    interval: int | None = None
