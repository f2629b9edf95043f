"""``measured.yaml``: measured memory and speed of training, with what the figures hold for."""

from typing import Literal

from pydantic import Field

from .base import Model, Stage, Text


class Setting(Model):
    """One measured way to train a stage."""

    stage: Stage
    nframes: int
    batch: int
    checkpointing: bool
    upstream: bool = False
    """Upstream's code as it is, without the patches."""
    cached: bool = False
    """The data came from memory: the loader's share is not in the speed."""
    workers: int | None = None
    precision: Literal["fp16", "bf16"] = "fp16"
    steps_per_second: float | None = Field(default=None, gt=0)
    frames_per_second: float | None = None
    """Where rounding makes it another number than steps × frames × batch."""
    memory: tuple[float, float, float] | None = None
    """GiB allocated by torch, reserved by torch, and shown by nvidia-smi; None: it ran out of memory."""

    @property
    def used(self) -> float:
        """GiB that nvidia-smi showed, for texts."""
        if self.memory is None:
            raise LookupError(f"measured.yaml: {self.stage} with {self.nframes} frames ran out of memory")
        return self.memory[2]


class Loading(Model):
    """Samples per second that one and two data-loader workers deliver."""

    source: str
    nframes: int
    workers: tuple[float, float]


class Saving(Model):
    """What is done between the steps of a stage, in seconds, and what it leaves on disk."""

    checkpoint_gb: float
    save_seconds: float
    start_seconds: float
    """From the start of the trainer to the first step."""
    load_seconds: float
    convert_seconds: float
    converted_gib: tuple[float, float]
    """unet_main and brushnet."""
    validation_seconds: float

    def disk_gigabytes(self, checkpoints: int) -> float:
        """GB (10^9 bytes) of so many checkpoints and the converted weights."""
        return checkpoints * self.checkpoint_gb + sum(self.converted_gib) * (2**30 / 1e9)


class TwoGpus(Model):
    """What training on two GPUs showed, gradient checkpointing off."""

    gib: float
    speedup: float
    """Clips per second against one GPU."""
    validation: float | None = None
    """GiB during validation at the first start."""


class Measured(Model):
    """The measured figures."""

    machine: Text
    caveats: list[Text]
    findings: list[Text]
    gpu_sizes: list[int]
    """GPU memory in GB that the builder offers."""
    gpu_gib: int
    """Nominal memory of the GPU of the measurements."""
    trained_millions: dict[Stage, float]
    bytes_per_parameter: dict[Literal["no", "yes"], int]
    """Weight, gradient and Adam's two states, by the value of use_8bit_adam."""
    validation_peak: dict[Stage, float]
    """GiB that nvidia-smi showed during validation, gradient checkpointing off."""
    two_gpus: dict[Stage, TwoGpus]
    validation_after_resume: float
    levers: dict[str, dict[Stage, str]]
    """How many times as fast a stage is with one change."""
    grads_to_none_gib: dict[Stage, float]
    several_gpus_gib: dict[Stage, float]
    resolution: int
    settings: list[Setting]
    cached_fp16_steps_per_second: float
    """Stage 1 as in the second setting, but with data from memory: what the other cached ones compare with."""
    loading: list[Loading]
    saving: dict[Stage, Saving]

    def setting(
        self, stage: Stage, nframes: int, batch: int = 1, *, checkpointing: bool = True, upstream: bool = False
    ) -> Setting:
        """The first setting with these values; in fp16, and with the patches unless upstream is asked for."""
        wanted = (stage, nframes, batch, checkpointing, upstream)
        for each in self.settings:
            if (each.stage, each.nframes, each.batch, each.checkpointing, each.upstream) == wanted:
                return each
        raise LookupError(f"measured.yaml: no setting of {stage} with {nframes} frames and batch {batch}")

    def state_gib(self, stage: Stage, use_8bit_adam: Literal["no", "yes"] = "no") -> float:
        """GiB of a stage's weights, gradients and Adam's state, by arithmetic."""
        return self.trained_millions[stage] * 1e6 * self.bytes_per_parameter[use_8bit_adam] / 2**30

    def gradients_gib(self, stage: Stage) -> float:
        """GiB that the exchange of gradients between several GPUs may add, by arithmetic."""
        return self.trained_millions[stage] * 1e6 * 4 / 2**30
