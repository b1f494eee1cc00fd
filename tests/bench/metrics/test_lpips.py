"""LPIPS: values of the reference, both kinds of backbone file, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pairs import photographs, real_pairs
from scoring import needs_weights, score, scores

from bench.errors import BenchError
from bench.metrics.lpips import load
from bench.metrics.metric import Evidence, NotApplicable

U8, FLOAT, TRUNC = (f"lpips@alex,rgb,crop0,{depth}" for depth in ("u8", "float", "trunc8"))


def backbone(path: Path, seed: int, *, whole: bool) -> Path:
    """A file like torchvision's AlexNet, with random numbers; `whole` with the classifier that is not needed."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}
    state = {}
    for layer, shape in shapes.items():
        state[f"features.{layer}.weight"] = torch.randn(shape, generator=generator) / np.sqrt(np.prod(shape[1:]))
        state[f"features.{layer}.bias"] = torch.randn(shape[:1], generator=generator)
    if whole:
        state["classifier.6.bias"] = torch.zeros(1000)
    torch.save(state, path)
    return path


@pytest.mark.slow
@needs_weights
def test_stored_values() -> None:
    for pair in photographs():
        expected = pair.values["lpips_alex_v0.1@rgb,crop0,u8"]
        assert score(U8, pair.evidence) == pytest.approx(expected, abs=1e-5), pair
    for pair in real_pairs():
        assert score(U8, pair.evidence) == pytest.approx(pair.values["lpips_pkg.alex_v0.1.u8.crop0"], abs=1e-5), pair


@pytest.mark.slow
@needs_weights
def test_unrounded_images_differ_by_what_is_known() -> None:
    """The stored value is of draws beyond [0, 1]; they are clipped here, as HCFlow's decode does."""
    for pair in real_pairs():
        if "lpips_pkg.alex_v0.1.float_clamped.crop0" in pair.values:
            rounded = score(U8, pair.evidence)
            stored = pair.values["lpips_pkg.alex_v0.1.float_clamped.crop0"]
            assert 0 < abs(stored - rounded) < 0.0014 + 1e-5  # spec: up to 0.0014 apart
            assert score(FLOAT, pair.evidence) == pytest.approx(rounded, abs=1e-6)  # 8-bit images lose nothing


@pytest.mark.slow
def test_both_files_load_and_random_numbers_are_left_alone(tmp_path: Path) -> None:
    features = backbone(tmp_path / "features.pth", 0, whole=False)
    whole = backbone(tmp_path / "whole.pth", 0, whole=True)
    other = backbone(tmp_path / "other.pth", 1, whole=False)
    rng = np.random.default_rng(0)
    hr = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
    evidence = Evidence((rng.random((40, 48, 3), dtype=np.float32) * 1.2 - 0.1, hr / 255), 4, hr)
    state = torch.random.get_rng_state()
    values = scores(U8, evidence, [features])
    assert torch.equal(state, torch.random.get_rng_state())
    assert values == scores(U8, evidence, [whole])
    assert values != scores(U8, evidence, [other])
    assert values[1] == 0.0
    assert values[0] > 0
    assert scores(TRUNC, evidence, [features])[0] != values[0] != scores(FLOAT, evidence, [features])[0]


@pytest.mark.slow
def test_it_is_the_package_with_that_backbone(tmp_path: Path) -> None:
    import lpips

    file = backbone(tmp_path / "features.pth", 3, whole=False)
    network = load(file, torch.device("cpu"))
    state = torch.load(file)
    expected = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    for name, parameter in expected.net.named_parameters():  # slice2.3.weight is features.3.weight
        parameter.data.copy_(state["features." + name.partition(".")[2]])
    x, y = torch.rand(2, 1, 3, 40, 40) * 2 - 1
    torch.testing.assert_close(network(x, y), expected(x, y), rtol=0, atol=0)


@pytest.mark.slow
def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.pth"
    text.write_text("no weights")
    network = tmp_path / "network.pth"
    torch.save({"conv.weight": torch.zeros(1)}, network)
    for file in (text, network):
        with pytest.raises(BenchError, match=rf"{file.name}: expected AlexNet's features"):
            load(file, torch.device("cpu"))


@pytest.mark.slow
def test_an_image_too_small_for_the_network_is_not_applicable(tmp_path: Path) -> None:
    file = backbone(tmp_path / "features.pth", 0, whole=False)
    for side, applicable in ((30, False), (31, True)):
        image = np.zeros((side, 40, 3), np.uint8)
        found = scores(U8, Evidence((image / 255,), 1, image), [file])
        assert isinstance(found, NotApplicable) is not applicable
