"""What any process has recorded of a restoration by now; files that grow are read on from where they ended before."""

from __future__ import annotations

from pathlib import Path

from bench import jsons
from bench.records import store


class Follower:
    """The measures of each image of one restoration, those of runs that are still writing included."""

    def __init__(self, out: Path, restoration: str) -> None:
        self._folder, self._restoration = store.folder_of(out, restoration), restoration
        self._files: dict[Path, tuple[int, int]] = {}  # what was read of it, and its draws; 0 draws: not of this format
        self._known: dict[tuple[str, str], set[str]] = {}

    def measures(self, image: str, pixels: str) -> set[str]:
        """Digests of the measures that are recorded for an image with these pixels."""
        self._update()
        return self._known.get((image, pixels), set())

    def _update(self) -> None:
        for path in self._folder.glob("*.jsonl"):
            done, draws = self._files.get(path, (0, -1))
            if draws != 0 and path.stat().st_size > done:
                self._read_on(path, done, draws)

    def _read_on(self, path: Path, done: int, draws: int) -> None:
        with path.open("rb") as stream:
            stream.seek(done)
            data = stream.read()
        whole = data[: data.rfind(b"\n") + 1]  # a line that is being written is read next time
        for line in whole.splitlines():
            try:
                content = jsons.loads(line)
                if draws < 0:
                    draws = 0 if store.header_fault(content, self._restoration) else content["specification"]["draws"]
                elif draws:
                    record = store.decode(content, path.stem, draws)
                    self._known.setdefault((record.image, record.pixels), set()).update(record.values)
            except (ValueError, TypeError, KeyError, AttributeError):
                if draws < 0:
                    draws = 0
        self._files[path] = done + len(whole), draws
