"""One step of the optimiser, with everything decided on the device: the CPU never waits for a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn

__all__ = ["Meter", "Updater"]


class Updater:
    """Adam; a step whose gradient or loss is not finite changes nothing.

    The fused kernel takes the flag that says so from the device, as it does for mixed-precision loss scaling.

    Args:
        network: whose parameters are trained.
        betas: of Adam.
        clip: (largest absolute value, largest norm) of the gradient, applied in this order; None: no clipping.
    """

    def __init__(self, network: nn.Module, betas: tuple[float, float], clip: tuple[float, float] | None = None) -> None:
        self.parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.adam = torch.optim.Adam(self.parameters, betas=betas, fused=True)
        self.clip = clip

    def step(self, loss: Tensor, learning_rate: float) -> tuple[Tensor, Tensor]:
        """Use the gradients and clear them.

        Args:
            loss: that they belong to, on this process.
            learning_rate: of this step.

        Returns:
            the gradient norm, after any clip by value and before any clip by norm; 1 where the step was skipped,
            else 0. Both stay on the device.
        """
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        loss = loss.detach().clone()
        if dist.is_available() and dist.is_initialized():  # all processes must agree to skip
            dist.all_reduce(loss)
        finite = torch.isfinite(nn.utils.get_total_norm(gradients)) & torch.isfinite(loss)  # clipping hides infinity
        if self.clip is not None:
            nn.utils.clip_grad_value_(self.parameters, self.clip[0])
        norm = nn.utils.get_total_norm(gradients)
        skipped = 1.0 - finite.float()  # in the precision that the kernel takes, whatever the network's
        if self.clip is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, self.clip[1], norm)
        for group in self.adam.param_groups:
            group["lr"] = learning_rate
        self.adam.found_inf = skipped  # type: ignore[attr-defined]
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        return norm, skipped

    def state(self) -> dict[str, Tensor]:
        """Adam's moments and step counts, by index of the parameter."""
        return {
            f"{index}.{name}": value
            for index, slot in self.adam.state_dict()["state"].items()
            for name, value in slot.items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state` gave."""
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in state.items():
            index, _, name = key.partition(".")
            if value.ndim:  # in the memory layout of the parameter, which the fused kernel relies on
                value = torch.empty_like(self.parameters[int(index)]).copy_(value)
            slots.setdefault(int(index), {})[name] = value
        whole = self.adam.state_dict()
        self.adam.load_state_dict({"state": slots, "param_groups": whole["param_groups"]})


class Meter:
    """Losses, norms and skipped steps since the last look, kept on the device until somebody looks."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}  # by name: (sum, steps that counted)
        self._skipped: Tensor | None = None
        self._in_a_row: Tensor | None = None

    def add(self, values: Mapping[str, Tensor], skipped: Iterable[Tensor]) -> None:
        """Add one iteration: its values (left out of the means where it was skipped) and the flags of its updates."""
        bad = torch.stack(list(skipped)).amax()
        good = 1.0 - bad
        for name, value in values.items():
            counted = torch.stack((torch.where(good > 0, value.detach().float(), torch.zeros_like(good)), good))
            self._sums[name] = self._sums[name] + counted if name in self._sums else counted
        self._skipped = bad if self._skipped is None else self._skipped + bad
        self._in_a_row = bad if self._in_a_row is None else (self._in_a_row + bad) * bad

    def in_a_row(self) -> int:
        """How many iterations up to the newest were skipped; waits for the device."""
        return 0 if self._in_a_row is None else round(float(self._in_a_row))

    def read(self) -> tuple[dict[str, float], int]:
        """Look (which waits for the device), and start over.

        Returns:
            means over the iterations that counted and over all processes; how many were skipped.
        """
        if self._skipped is None:
            return {}, 0
        rows = torch.stack([*self._sums.values(), torch.stack((self._skipped, torch.ones_like(self._skipped)))])
        if dist.is_available() and dist.is_initialized():
            dist.all_reduce(rows)
            rows /= dist.get_world_size()
        *numbers, (skipped, _) = rows.tolist()
        means = {name: value / count for name, (value, count) in zip(self._sums, numbers, strict=True) if count}
        self._sums, self._skipped = {}, None
        return means, round(skipped)
