"""One iteration of a stage: groups of losses, each with a step of the optimiser; then the discriminator's step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from hcflow.checks import unchecked
from hcflow.errors import InputError
from hcflow.flow.invconv import solve_together
from hcflow.model import HCFlow
from hcflow.nets.discriminator import Discriminator
from hcflow.nets.perceptual import VGG19Features, vgg19_needed
from hcflow.nets.subnets import set_compilation, set_recomputation, set_subnet_precision
from hcflow.precision import strict
from hcflow.train.data import Batch
from hcflow.train.noise import Noise
from hcflow.train.objectives import Adversarial, DiscriminatorLoss, dequantised, objectives_of
from hcflow.train.processes import Processes
from hcflow.train.recipe import Stage
from hcflow.train.update import Updater

__all__ = [
    "PRECISIONS",
    "ComputeOptions",
    "Precision",
    "StageTrainer",
    "check_shares",
    "full_precision",
    "numeric_mode",
]

Precision = Literal["fp32", "tf32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class ComputeOptions:
    """How the numbers are computed; they stay the same up to rounding.

    Attributes:
        precision: fp32; tf32: convolutions on a GPU's tensor cores; bf16: conditioners and subnets in bfloat16, flow
            arithmetic, log-determinants and losses in float32.
        recompute: keep less for the backward pass and compute it again.
        compile: let torch.compile fuse the networks.
        accumulate: parts that a batch is cut into, one after the other.
    """

    precision: Precision = "fp32"
    recompute: bool = False
    compile: bool = False
    accumulate: int = 1


def check_shares(stage: Stage, compute: ComputeOptions, processes: Processes) -> None:
    """Whether a stage's batch can be shared.

    Raises:
        InputError: by so many processes and parts not equally, or not at all, because a discriminator normalises it.
    """
    world, parts = processes.world, compute.accumulate
    if stage.batch % (world * parts):
        raise InputError(
            f"expected a batch that {world} {'process' if world == 1 else 'processes'} with --accumulate {parts} can "
            f"share equally, got {stage.batch}; change them or --set batch="
        )
    if stage.losses.gan and parts > 1:
        raise InputError(
            f"expected --accumulate 1 for the adversarial loss, got {parts}: its discriminator normalises whole batches"
        )
    if stage.losses.gan and world > 1 and processes.device.type == "cpu":
        raise InputError(
            f"expected one process or GPUs for the adversarial loss, got {world} processes on a CPU: its discriminator "
            "normalises whole batches"
        )


class _Groups(nn.Module):
    """The objectives of a stage behind one `forward`, which is what DistributedDataParallel wraps."""

    def __init__(self, objectives: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.objectives = nn.ModuleDict(objectives)

    def forward(self, names: tuple[str, ...], hr: Tensor, lr: Tensor, noise: Noise) -> dict[str, Tensor]:
        """The losses of some groups."""
        return {key: value for name in names for key, value in self.objectives[name](hr, lr, noise).items()}


class StageTrainer:
    """The optimiser state of one stage, and what one iteration does with it."""

    def __init__(
        self,
        model: HCFlow,
        stage: Stage,
        compute: ComputeOptions,
        processes: Processes,
        features: VGG19Features | None = None,
    ) -> None:
        check_shares(stage, compute, processes)
        model.to(memory_format=torch.channels_last)
        self.model, self.stage, self.compute, self.processes = model, stage, compute, processes
        self.discriminator: Discriminator | None = None
        if stage.losses.gan:
            self.discriminator = Discriminator(stage.patch).to(processes.device).train()
            if processes.world > 1:  # in place, so that its statistics are of the whole batch
                nn.SyncBatchNorm.convert_sync_batchnorm(self.discriminator)
        if stage.losses.perceptual and features is None:
            raise vgg19_needed("none")
        objectives = objectives_of(model, stage.losses, stage.temperature, features, self.discriminator)
        names = tuple(objectives)
        self._order = (names,) if stage.update == "joint" else tuple((name,) for name in names)
        self._groups: nn.Module = _Groups(objectives)
        self._adversary: nn.Module | None = None
        self._updater = Updater(model, stage.betas, (stage.clip_value, stage.clip_norm))
        self._generator: Adversarial | None = None
        self._adversary_updater: Updater | None = None
        if self.discriminator is not None:
            generator = objectives["adversarial"]
            assert isinstance(generator, Adversarial)
            self._generator = generator
            self._adversary = DiscriminatorLoss(self.discriminator)
            self._adversary_updater = Updater(self.discriminator, stage.betas)  # not clipped, as released
        self.slowdown = 1.0  # factor of the learning rates, after steps that failed
        self._weights = {name: getattr(stage.losses, name) for name in stage.losses.__dataclass_fields__}
        _apply(model, compute)
        self._initialised = False

    def iterate(self, batch: Batch, iteration: int) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Do one iteration, in the `numeric_mode` that is set.

        Args:
            batch: this process's share.
            iteration: of the stage, from 0.

        Returns:
            losses and gradient norms by name, and a flag for each optimiser step, 1 where it was skipped; all of
            them still on the device.
        """
        if not self._initialised:
            self._prepare(batch)
        values: dict[str, Tensor] = {}
        skipped: list[Tensor] = []
        if iteration >= self.stage.discriminator_alone or self._adversary is None:
            rate = self.slowdown * self.stage.learning_rate_at(iteration)
            for names in self._order:
                losses = self._backward(self._groups, names, batch)
                norm, skip = self._updater.step(self._total(losses), rate)
                key = "gradient_norm" if len(self._order) == 1 else f"gradient_norm_{names[0]}"
                values |= losses | {key: norm}
                skipped.append(skip)
        if self._adversary is not None:
            losses, skip = self._train_discriminator(self._adversary, batch, iteration)
            values |= losses
            skipped.append(skip)
        return values, skipped

    def _train_discriminator(
        self, adversary: nn.Module, batch: Batch, iteration: int
    ) -> tuple[dict[str, Tensor], Tensor]:
        """One step of the discriminator on real images and on what the generator drew in this iteration."""
        assert self._generator is not None
        assert self._adversary_updater is not None
        hr, lr, noise = self._on_device(batch)
        with unchecked(), solve_together(self.model):
            losses: dict[str, Tensor] = adversary(hr, self._generator.take_draw(lr, noise))
        losses["discriminator"].backward()
        rate = self.slowdown * self.stage.discriminator_learning_rate_at(iteration)
        _, skip = self._adversary_updater.step(losses["discriminator"], rate)
        return {name: value.detach() for name, value in losses.items()}, skip

    def state(self) -> dict[str, Tensor]:
        """Everything that the next iteration depends on, but the model itself."""
        tensors = {f"adam.{key}": value for key, value in self._updater.state().items()}
        if self.discriminator is not None and self._adversary_updater is not None:
            tensors |= {f"discriminator.{key}": value for key, value in self.discriminator.state_dict().items()}
            tensors |= {f"adversary.{key}": value for key, value in self._adversary_updater.state().items()}
        return tensors

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""
        self._updater.load_state(_below("adam.", tensors))
        if self.discriminator is not None and self._adversary_updater is not None:
            self.discriminator.load_state_dict(_below("discriminator.", tensors))
            self._adversary_updater.load_state(_below("adversary.", tensors))

    def _prepare(self, batch: Batch) -> None:
        """Initialise new ActNorms from the whole first batch, in full precision; then join the other processes."""
        hr, lr, noise = self._on_device(batch)
        with full_precision(self.model, self.compute), torch.no_grad(), unchecked():
            self.model.encode(dequantised(self.model, hr, noise), lr)
        if self.processes.world > 1:
            self._groups = DistributedDataParallel(self._groups)
            if self._adversary is not None:
                self._adversary = DistributedDataParallel(self._adversary)
        self._initialised = True

    def _backward(self, groups: nn.Module, names: tuple[str, ...], batch: Batch) -> dict[str, Tensor]:
        """Gradients of the mean over the batch's parts; returns the mean losses."""
        parts = batch.split(self.compute.accumulate)
        sums: dict[str, Tensor] = {}
        for number, part in enumerate(parts, 1):
            hr, lr, noise = self._on_device(part)
            last = number == len(parts)
            parallel = isinstance(groups, DistributedDataParallel)
            with groups.no_sync() if parallel and not last else nullcontext():  # type: ignore[operator]
                with unchecked(), solve_together(self.model):
                    losses = groups(names, hr, lr, noise)
                (self._total(losses) / len(parts)).backward()
            for name, value in losses.items():
                share = value.detach() / len(parts)
                sums[name] = sums[name] + share if name in sums else share
        return sums

    def _total(self, losses: Mapping[str, Tensor]) -> Tensor:
        return torch.stack([self._weights.get(name, 1.0) * value for name, value in losses.items()]).sum()

    def _on_device(self, batch: Batch) -> tuple[Tensor, Tensor, Noise]:
        device = self.processes.device
        hr, lr = (
            side.to(device, non_blocking=True).float().div_(255).contiguous(memory_format=torch.channels_last)
            for side in (batch.hr, batch.lr)
        )
        return hr, lr, Noise(batch.seeds, device)


@contextmanager
def full_precision(model: HCFlow, compute: ComputeOptions) -> Iterator[None]:
    """Compute without savings for a while, as what is trained here will be used."""
    _apply(model, ComputeOptions())
    try:
        with numeric_mode("fp32"):
            yield
    finally:
        _apply(model, compute)


@contextmanager
def numeric_mode(precision: Precision) -> Iterator[None]:
    """Let float32 convolutions and matrix products be IEEE float32, or TF32 if `precision` is that.

    The settings belong to the process; those before are restored at the end.
    """
    with strict():
        if precision == "tf32":
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        yield


def _apply(model: HCFlow, compute: ComputeOptions) -> None:
    set_subnet_precision(model, torch.bfloat16 if compute.precision == "bf16" else None)
    set_recomputation(model, compute.recompute)
    set_compilation(model, compute.compile)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
