"""Peak memory of one call: of the GPU's allocator, or of this process where the system lets it be measured."""

from __future__ import annotations

from pathlib import Path

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """Measures from its making to `facts`."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device if device.type == "cuda" else None
        self._before: float | None = None
        if self._cuda is not None:
            torch.cuda.reset_peak_memory_stats(self._cuda)
            self._before = 0.0
        elif device.type == "cpu":
            self._before = _reset()

    def facts(self) -> dict[str, float]:
        """{"peak_memory": MiB that were taken beyond what was in use before}; empty where it cannot be measured."""
        if self._before is None:
            return {}
        if self._cuda is not None:
            return {"peak_memory": torch.cuda.max_memory_allocated(self._cuda) / 2**20}
        peak = _kib("VmHWM")
        return {} if peak is None else {"peak_memory": max(0.0, (peak - self._before) / 1024)}


def _reset() -> float | None:
    """Reset the process's peak to what it holds now; that, in KiB, or None where the system cannot."""
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    return _kib("VmRSS")


def _kib(name: str) -> float | None:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1])
    return None
