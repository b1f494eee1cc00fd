"""Comparison figures as sheets: which panels, which scores, what the caption says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

from bench.metrics.diversity import diversity
from bench.report.figures.comparison import Scores, caption, comparison, deviation, deviations, extremes
from bench.report.figures.region import Region, whole
from bench.report.figures.series import Axis
from bench.runs.pictures import Original, Picture
from hcflow.images.color import luma

RNG = np.random.default_rng(1)
AXES = {
    "ssim_y": Axis("SSIM (Y)", "", "higher", 4, "ssim@y,crop4,u8"),
    "psnr_y": Axis("PSNR (Y)", "dB", "higher", 2, "psnr@y,crop4,u8"),
    "lpips": Axis("LPIPS", "", "lower", 3, "lpips@alex,rgb,crop0,float"),
}
HR = RNG.integers(0, 256, (64, 96, 3), np.uint8)
ORIGINAL = Original("Set5", "bird", 4, HR, HR[::4, ::4].copy(), HR // 2, "0" * 64, grey=False)
REGION = Region(8, 16, 32, 32)


def made(row: str, draws: int = 1, **changes) -> Picture:
    pixels = tuple(RNG.integers(0, 256, HR.shape, np.uint8) for _ in range(draws))
    scores = {"psnr_y": tuple(20.0 + n for n in range(draws)), "lpips": tuple(0.1 * n for n in range(draws))}
    values = tuple(draw / 255.0 for draw in pixels)
    picture = Picture(row, pixels, scores, "kept by a run", "PSNR (Y) equals the record's", True, 0.9, draws > 1)
    return replace(picture, values=values, **changes)


def test_the_panels_in_their_order_with_their_parts():
    one, several = made("Net"), made("Flow", 3)
    scores = Scores.of(AXES, [one, several])
    sheet = comparison(ORIGINAL, [one, several], REGION, scores)
    (strip,) = sheet.strips
    assert [panel.name for panel in strip.panels] == [
        "LR", "Bicubic", "Net", "Flow, draw 1", "Flow, draw 2", "Flow, draw 3", "HR",
    ]  # fmt: skip
    assert np.array_equal(strip.panels[2].pixels, one.draws[0][16:48, 8:40])
    assert np.array_equal(strip.panels[4].pixels, several.draws[1][16:48, 8:40])
    assert np.array_equal(strip.panels[-1].pixels, HR[16:48, 8:40])
    assert np.array_equal(strip.panels[0].pixels, ORIGINAL.lr[4:12, 2:10].repeat(4, 0).repeat(4, 1))
    assert strip.panels[4].lines[0] == "21.00 dB / 0.100"
    assert np.array_equal(strip.overview.pixels, HR)
    assert sheet.notes == (
        "Under each picture: PSNR (Y) / LPIPS of the whole image; part: PSNR (Y) of the part that is shown.",
    )
    assert [panel.name for panel in comparison(ORIGINAL, [one], REGION, scores, bicubic=False).strips[0].panels] == [
        "LR", "Net", "HR",
    ]  # fmt: skip


def test_the_score_of_the_part_is_that_of_an_independent_library():
    picture = made("Net")
    for space, protocol in (("y", "psnr@y,crop4,u8"), ("rgb", "psnr@rgb,crop4,u8")):
        axes = {"psnr": replace(AXES["psnr_y"], protocol=protocol)}
        scores = Scores.of(axes, [picture])
        sr, hr = REGION.of(picture.draws[0]), REGION.of(HR)
        if space == "y":
            sr, hr = luma(sr), luma(hr)
        expected = peak_signal_noise_ratio(hr, sr, data_range=255)
        assert scores.part(picture.draws[0], ORIGINAL, REGION) == f"part {expected:.2f} dB"


def test_scores_are_those_that_were_asked_for_and_a_missing_one_is_a_dash():
    picture = made("Net")
    assert list(Scores.of(AXES, [picture]).columns) == ["psnr_y", "lpips"]
    assert list(Scores.of(AXES, [picture], ["lpips"]).columns) == ["lpips"]
    both = Scores.of(AXES, [picture])
    assert both.text({"psnr_y": (28.0,)}, 0) == "28.00 dB / –"
    assert both.text({"psnr_y": (28.0, 29.0), "lpips": (0.5,)}, 1) == "29.00 dB / 0.500"


def test_a_whole_image_needs_no_overview_and_no_score_of_its_part():
    picture = made("Net")
    (strip,) = comparison(ORIGINAL, [picture], whole(HR), Scores.of(AXES, [picture])).strips
    assert strip.overview is None
    assert strip.panels[2].lines == ("20.00 dB / 0.000",)
    assert list(Scores.of(AXES, [picture]).notes(False)) == ["Under each picture: PSNR (Y) / LPIPS of the whole image."]


def test_a_picture_that_is_not_the_recorded_one_is_marked():
    picture = made("Net", agrees=False)
    sheet = comparison(ORIGINAL, [picture], REGION, Scores.of(AXES, [picture]))
    assert sheet.strips[0].panels[2].lines[0].endswith("*")
    assert "does not have the recorded score (Net)" in sheet.notes[1]


def test_rows_that_make_their_own_lr_are_named():
    picture = made("IRN", own_lr=True)
    notes = comparison(ORIGINAL, [picture], REGION, Scores.of(AXES, [picture])).notes
    assert "an LR image of its own making, not from the LR that is shown: IRN" in notes[1]


def test_extremes_are_a_strip_per_image():
    picture = made("Net")
    scores = Scores.of(AXES, [picture])
    sheet = extremes([(ORIGINAL, [picture], REGION)] * 2, scores, "worst", AXES["psnr_y"], "Net")
    assert [[panel.name for panel in strip.panels] for strip in sheet.strips] == [["Bicubic", "Net", "HR"]] * 2
    assert "worst images of Net by PSNR (Y)" in sheet.notes[0]


def test_the_mean_of_the_map_is_the_metric_diversity():
    draws = [RNG.random((20, 30, 3)) for _ in range(5)]
    assert deviation(draws).shape == (20, 30)
    assert deviation(draws).mean() == pytest.approx(diversity(draws), rel=1e-12)
    with pytest.raises(ValueError, match="at least two"):
        deviation(draws[:1])


def test_a_map_stands_beside_the_first_draw_with_its_bar():
    picture = made("Flow", 4)
    colours = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)
    sheet = deviations(ORIGINAL, [picture], colours, whole(HR))
    (strip,) = sheet.strips
    assert [panel.name for panel in strip.panels] == ["HR", "Flow", "Standard deviation"]
    values = deviation(picture.values)
    expected = np.clip(np.rint(values / sheet.bar.largest * 255), 0, 255)
    assert np.array_equal(strip.panels[2].pixels[:, :, 0], expected)
    assert f"mean {values.mean():.2f}" in strip.panels[2].lines[0]


def test_the_caption_says_what_is_seen_and_where_it_comes_from():
    one, several = made("Net"), made("Flow", 2)
    scores = Scores.of(AXES, [one, several])
    text = caption("Figure 4", [(ORIGINAL, REGION)], [(ORIGINAL, one), (ORIGINAL, several)], scores)
    assert "Image: bird of Set5, 96x64 pixels, x4" in text
    assert "Part: 8,16,32,32 (x, y, width, height in HR pixels; given)" in text
    assert "PSNR (Y), psnr@y,crop4,u8" in text
    assert "Score of the part: psnr@y,crop0,u8" in text
    assert "Flow, bird, 2 draws at temperature 0.9: kept by a run; PSNR (Y) equals the record's" in text
