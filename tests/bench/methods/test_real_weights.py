"""Published scores with the authors' weights: python -m pytest -m slow, HCFLOW_DATA and HCFLOW_WEIGHTS set."""

import os

import numpy as np
import pytest
import torch

from bench.datasets import local
from bench.datasets.manifest import load_manifest
from bench.errors import BenchError
from bench.methods.method import METHODS, build_method
from bench.metrics.psnr import psnr
from bench.metrics.ssim import ssim
from bench.metrics.views import Protocol, views
from bench.runs.restoration import low_resolution
from bench.suites.reading import load_suite
from bench.weights.entries import resolve
from hcflow.images.matlab_resize import mod_crop

RGB, LUMA = "y,crop4,u8", "y8,crop4,u8,grey=direct,work=y"
SET5 = [  # row, suite, protocol
    ("SRCNN", "table4", LUMA),
    ("VDSR", "beyond", LUMA),
    ("LapSRN", "beyond", LUMA),
    ("IMDN", "beyond", RGB),
    ("PAN", "beyond", RGB),
    ("RLFN", "beyond", RGB),
    ("VapSR", "beyond", RGB),
    ("VapSR-S", "beyond", RGB),
    ("RRDB", "beyond", RGB),
]


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_DATA" not in os.environ or "HCFLOW_WEIGHTS" not in os.environ, reason="needs real files")
@pytest.mark.parametrize(("name", "table", "variant"), SET5, ids=[row[0] for row in SET5])
def test_set5_is_within_five_hundredths_of_the_published_value(name, table, variant):
    suite = load_suite(table)
    (row,) = suite.select([name])
    try:
        files = [resolve(need) for need in row.needs]
    except BenchError as error:
        pytest.skip(str(error))
    method = build_method(METHODS.find(row.method), 4, row.settings, files, torch.device("cpu"))
    manifest, protocol, scores = load_manifest("Set5"), Protocol.parse(variant), []
    for entry in local.presence(manifest).present:
        hr = mod_crop(local.read_hr(manifest, entry), 4)
        sr = method.restore(low_resolution(hr, 4, protocol.input), 0.0, [0])[0].numpy()
        image = sr[0] if len(sr) == 1 else np.moveaxis(sr, 0, 2)
        pair = views(image, hr, protocol)
        scores.append((psnr(*pair), ssim(*pair)))
    assert len(scores) == 5
    got = np.mean(scores, axis=0)
    published = [float(suite.published_value(row, "Set5", column)) for column in suite.columns]
    assert abs(got[0] - published[0]) < 0.05
    assert abs(got[1] - published[1]) < 0.0015
