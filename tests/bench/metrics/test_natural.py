"""NIQE and BRISQUE: values of the reference implementations, what is too small or flat, and pyiqa as an oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pairs import photographs, real_pairs
from scipy.io import savemat
from scoring import needs_weights, score, scores
from skimage import data

from bench.errors import BenchError
from bench.metrics import brisque as brisque_file
from bench.metrics.brisque import brisque, regression
from bench.metrics.metric import Evidence, NotApplicable
from bench.metrics.natural import asymmetric, mirrored, symmetric
from bench.metrics.niqe import niqe, parameters
from bench.weights.entries import resolve
from hcflow.images.io import to_rgb

# What the stored values promise; a slide with large flat regions is the exception, and is explained below
TOLERANCE = 1e-3
FLAT = "Set14/ppt3"


def photograph(height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(data.astronaut()[:height, :width])


def evidence(*images: np.ndarray) -> Evidence:
    return Evidence(tuple(image / 255 for image in images), 4)


def niqe_file(path: Path) -> Path:
    """Parameters made up from a photograph, under the names of the LIVE release and of pyiqa."""
    from bench.metrics.niqe import _features, rounded_luma

    features = _features(rounded_luma(data.coffee()))
    savemat(path, {"mu_prisparam": features.mean(axis=0)[None], "cov_prisparam": np.cov(features, rowvar=False)})
    return path


def live_brisque_file(path: Path) -> Path:
    rng = np.random.default_rng(1)
    torch.save((torch.tensor(rng.normal(0, 30, 50)), torch.tensor(rng.uniform(-1, 1, (50, 36)))), path)
    return path


@pytest.mark.slow
@needs_weights
def test_stored_values_of_niqe() -> None:
    mean, covariance = parameters(resolve("NIQE_live"))
    differences = []
    for pair in (*photographs(), *real_pairs()):
        for image, values in ((pair.evidence.reference, pair.image["hr"]), (pair.sr, pair.values)):
            keys = ("niqe_live@y601 u8,crop0 (basicsr)", "basicsr.niqe.y_u8round.crop0")
            expected = next(values[key] for key in keys if key in values)
            assert niqe(to_rgb(image), mean, covariance) == pytest.approx(expected, abs=TOLERANCE), pair
            differences += [abs(values[key] - expected) for key in ("pyiqa.niqe.ycbcr",) if key in values]
    assert 0.3 < max(differences) < 0.41  # pyiqa told to use the same luma: not the same thing


@pytest.mark.slow
@needs_weights
def test_stored_values_of_brisque() -> None:
    coefficients, vectors = regression(resolve("BRISQUE_live"))
    apart = []
    for pair in real_pairs():
        for image, values in ((pair.evidence.reference, pair.image["hr"]), (pair.sr, pair.values)):
            expected = values["libsvm_formula.brisque.f64"]
            found = brisque(to_rgb(image), coefficients, vectors)
            if pair.name.startswith(FLAT):
                apart.append(abs(found - expected))
            else:
                assert found == pytest.approx(expected, abs=TOLERANCE), pair
    assert 1e-3 < max(apart) < 0.01  # pyiqa halves the image with weights in float32: see the test below


@pytest.mark.slow
@needs_weights
def test_the_rest_of_the_difference_on_flat_images_is_in_pyiqas_resize(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyiqa.matlab_utils import imresize as of_pyiqa

    import hcflow.images.matlab_resize

    def resize(plane: np.ndarray, scale: float) -> np.ndarray:
        return of_pyiqa(torch.from_numpy(plane)[None, None], scale=scale, antialiasing=True)[0, 0].numpy()

    monkeypatch.setattr(hcflow.images.matlab_resize, "imresize", resize)
    coefficients, vectors = regression(resolve("BRISQUE_live"))
    for pair in real_pairs():
        found = brisque(to_rgb(pair.sr), coefficients, vectors)
        assert found == pytest.approx(pair.values["libsvm_formula.brisque.f64"], abs=TOLERANCE), pair


@pytest.mark.slow
@needs_weights
def test_values_below_zero_are_kept() -> None:
    found = score("brisque@live", evidence(photograph(512, 512)))
    assert np.isfinite(found)
    coefficients, vectors = regression(resolve("BRISQUE_live"))
    assert brisque(photograph(512, 512), coefficients - 1e3, vectors) < 0


@pytest.mark.slow
def test_niqe_matlab_is_pyiqas_with_parameters_made_here(tmp_path: Path) -> None:
    from pyiqa.archs.niqe_arch import NIQE

    file = niqe_file(tmp_path / "niqe_matlab_params.mat")
    rgb = photograph(250, 300)
    tensor = torch.from_numpy(rgb.transpose(2, 0, 1) / 255)[None]
    expected = float(NIQE(version="matlab", pretrained_model_path=str(file))(tensor))
    assert score("niqe@matlab", evidence(rgb), [file]) == pytest.approx(expected, abs=1e-9)
    assert score("niqe@live", evidence(rgb), [file]) != pytest.approx(expected, abs=1e-6)  # another luma
    face = photograph(160, 160)
    assert score("niqe@matlab", evidence(face), [file]) == pytest.approx(
        score("niqe@matlab", evidence(mirrored(face)), [file]), abs=1e-9
    )


@pytest.mark.slow
def test_brisque_matlab_is_pyiqas_with_parameters_made_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyiqa.archs.brisque_arch as of_pyiqa

    rng = np.random.default_rng(2)
    file = tmp_path / "brisque_matlab.mat"
    vectors = rng.uniform(0, 2, (40, 36))
    savemat(file, {"sv": vectors, "sv_coef": rng.normal(0, 20, (40, 1))})
    rgb = photograph(200, 230)
    found = score("brisque@matlab", evidence(rgb), [file])
    monkeypatch.setattr(of_pyiqa, "load_file_from_url", lambda url: str(file))
    tensor = torch.from_numpy(rgb.transpose(2, 0, 1) / 255)[None]
    assert found == pytest.approx(float(of_pyiqa.BRISQUE(version="matlab")(tensor)), abs=1e-9)

    other = tmp_path / "other.mat"
    other.write_bytes(file.read_bytes())
    with pytest.raises(BenchError, match=r"other.mat: expected the name brisque_matlab.mat"):
        scores("brisque@matlab", evidence(rgb), [other])


@pytest.mark.parametrize(("metric", "make"), [("niqe@live", niqe_file), ("brisque@live", live_brisque_file)])
def test_small_and_flat_images(metric: str, make: object, tmp_path: Path) -> None:
    file = [make(tmp_path / "parameters")] if metric.startswith("brisque") else [make(tmp_path / "parameters.mat")]
    assert scores(metric, evidence(photograph(95, 200)), file) == NotApplicable(
        "200x95 pixels, and at least 96x96 are needed"
    )
    assert np.isfinite(score(metric, evidence(photograph(96, 96)), file))
    for level in (0, 77) if metric.startswith("niqe") else (0,):  # zeros around it give BRISQUE something to go by
        assert isinstance(scores(metric, evidence(np.full((200, 200, 3), level, np.uint8)), file), NotApplicable)
    face, other = photograph(160, 160), photograph(170, 160)[10:]
    both = scores(metric, evidence(face, other), file)
    assert both == [score(metric, evidence(face), file), score(metric, evidence(other), file)]
    assert both[0] == score(metric, evidence(mirrored(face)), file)


def test_mirroring() -> None:
    image = photograph(100, 191)
    tiled = mirrored(image)
    assert tiled.shape == (200, 382, 3)
    np.testing.assert_array_equal(tiled[:100, :191], image)
    np.testing.assert_array_equal(tiled[:100, 191:], np.fliplr(image))
    np.testing.assert_array_equal(tiled[100:, :191], np.flipud(image))
    np.testing.assert_array_equal(tiled[100:, 191:], image[::-1, ::-1])
    for enough in (photograph(96, 192), photograph(192, 100), photograph(512, 512)):
        assert mirrored(enough) is enough


@pytest.mark.parametrize("shape", [0.7, 1.0, 2.0, 3.5])
def test_the_fit_finds_the_distribution_that_samples_come_from(shape: float) -> None:
    rng = np.random.default_rng(7)
    scale = 1.5
    magnitude = scale * rng.gamma(1 / shape, size=200_000) ** (1 / shape)
    samples = magnitude * rng.choice([-1, 1], size=magnitude.size)
    found, variance = symmetric(samples)
    assert found == pytest.approx(shape, rel=0.03)
    assert variance == pytest.approx(np.var(samples), rel=0.01)
    lopsided = np.where(samples < 0, 2 * samples, samples)  # probabilities are equal only for a symmetric one
    assert asymmetric(samples[None])[0][0] == pytest.approx(shape, rel=0.03)
    left, right = asymmetric(lopsided[None])[1:]
    assert left[0] / right[0] == pytest.approx(2, rel=0.03)


def test_luma_of_brisque_rounds_ties_up() -> None:
    tie = np.array([[[1, 1, 1], [0, 0, 250], [0, 0, 0], [255, 255, 255]]], np.uint8)  # 0.114 * 250 = 28.5
    np.testing.assert_array_equal(brisque_file.grey(tie), [[1, 29, 0, 255]])


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text.mat"
    text.write_text("nothing of the kind")
    with pytest.raises(BenchError, match=r"text.mat: expected a MATLAB file with mu_prisparam and cov_prisparam"):
        parameters(text)
    with pytest.raises(BenchError, match=r"text.mat: expected two tensors"):
        regression(text)
    wrong = tmp_path / "wrong.mat"
    savemat(wrong, {"mu_prisparam": np.zeros(3), "cov_prisparam": np.zeros((3, 3))})
    with pytest.raises(BenchError, match=r"expected \(36,\)"):
        parameters(wrong)
