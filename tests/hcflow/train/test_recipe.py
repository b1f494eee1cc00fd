"""Recipes: the paper's numbers, budgets that keep them in proportion, and errors that name the key."""

import math
from dataclasses import replace

import pytest

from hcflow.config import CASES, PRESETS, Config
from hcflow.errors import ConfigError
from hcflow.nets.subnets import FCN
from hcflow.train.recipe import BUDGETS, Losses, Recipe, Stage
from hcflow.train.recipes import RECIPES, recipe
from hcflow.train.session import new_model


def test_the_papers_schedules():
    x4, x8 = RECIPES["sr_x4"].stages[0], RECIPES["sr_x8"].stages[0]
    assert (x4.iterations, x4.learning_rate, x4.batch, x4.patch) == (300_000, 2.5e-4, 16, 160)
    assert [milestone / x4.iterations for milestone in x4.halve_at] == [0.5, 0.75, 0.9, 0.95]
    assert (x8.iterations, x8.halve_at) == (350_000, (200_000, 250_000, 280_000, 310_000, 340_000))
    plus, plusplus = RECIPES["sr_x4+"].stages[1], RECIPES["sr_x4++"].stages[1]
    assert (plus.iterations, plus.learning_rate, plus.halve_at) == (50_000, 5e-5, (20_000, 40_000))
    assert plus.losses == Losses(nll=2e-3, pixel_hr=1.0)
    assert plusplus.losses == Losses(nll=2e-3, pixel_hr=1.0, perceptual=5e-2, gan=5e-1)
    assert (plusplus.learning_rate, plusplus.discriminator_learning_rate) == (1.25e-5, 5e-5)
    assert plusplus.discriminator_alone == 1_500
    assert (plusplus.temperature, RECIPES["sr_x8++"].stages[1].temperature) == (0.9, 0.8)
    rescaling = RECIPES["rescale_x4"].stages[0]
    assert rescaling.losses == Losses(pixel_hr=1.0, pixel_lr=0.05, latent=1e-5)
    assert rescaling.halve_at == (100_000, 200_000, 300_000, 400_000, 450_000)
    papers = [stage for name, one in RECIPES.items() if not name.endswith("_small") for stage in one.stages]
    assert {(stage.clip_value, stage.clip_norm) for stage in papers} == {(5.0, 100.0)}
    assert {one.init for name, one in RECIPES.items() if not name.endswith("_small")} == {"released"}


def test_the_small_network_fits_into_3_megabytes_of_float16():
    model = new_model(RECIPES["sr_x4_small"], 0)
    assert 2 * sum(parameter.numel() for parameter in model.parameters()) < 3e6


def test_every_network_of_the_paper_has_a_recipe():
    assert {one.network for one in RECIPES.values()} >= {*PRESETS.values(), *CASES.values()}


def test_learning_rate_is_halved_from_the_milestone_step_on():
    stage = RECIPES["rescale_x4"].stages[0]
    rates = [stage.learning_rate_at(step - 1) for step in (1, 99_999, 100_000, 449_999, 450_000)]
    assert rates == [2.5e-4, 2.5e-4, 1.25e-4, 2.5e-4 / 16, 2.5e-4 / 32]
    plusplus = RECIPES["sr_x4++"].stages[1]
    assert plusplus.discriminator_learning_rate_at(19_998) == 5e-5
    assert plusplus.discriminator_learning_rate_at(19_999) == pytest.approx(2.5e-5)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("budget", BUDGETS)
def test_budgets_keep_everything_in_proportion(name, budget):
    whole = RECIPES[name]
    if budget == "small" and not name.endswith("_small"):
        with pytest.raises(ConfigError, match="expected the key 'small', iterations at that budget, which is missing"):
            whole.at(budget)
        return
    short = whole.at(budget)
    assert (budget != "paper") or short == whole
    for before, after in zip(whole.stages, short.stages, strict=True):
        factor = after.iterations / before.iterations
        assert after.halve_at == tuple(max(1, round(factor * milestone)) for milestone in before.halve_at)
        assert after.discriminator_alone == round(factor * before.discriminator_alone)
        assert after.losses == before.losses


def test_settings_change_the_last_stage():
    changed = RECIPES["sr_x4+"].with_settings(["patch=96", "losses.nll=0.5", "update=joint", "iterations=500"])
    assert changed.stages[0] == RECIPES["sr_x4+"].stages[0]
    last = changed.stages[1]
    assert (last.patch, last.losses.nll, last.update, last.iterations) == (96, 0.5, "joint", 500)
    assert last.halve_at == (200, 400)
    assert last.losses.pixel_hr == 1.0


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("pacth=96", "unknown key 'pacth'; did you mean patch[?] choose from name, losses, iterations"),
        ("losses.nnl=1", "unknown key 'nnl'; did you mean nll[?] choose from nll, pixel_hr"),
        ("losses.latent=1", "expected losses of super-resolution, got latent"),
        ("patch", "expected KEY=VALUE"),
        ("patch=large", "expected int, got 'large'"),
        ("patch=90", "expected a patch divisible by 4, got 90"),
        ("patch=0", "expected 1 <= patch <= 16,384, got 0"),
        ("batch=1180591620717411303424", "batch: expected numbers of at most 18 digits, got a larger"),
        ("batch=100000", "expected 1 <= batch <= 65,536, got 100000"),
        ("iterations=true", "iterations: expected int, got True"),
        ("iterations=0", "expected 1 <= iterations"),
        pytest.param(
            "iterations=" + 5000 * "9", "expected numbers of at most 18 digits, got one of 5000 digits", id="5000-digit"
        ),
        pytest.param("halve_at=" + 5000 * "[", "halve_at: expected a value of at most 20 levels", id="deep"),
        pytest.param("halve_at=" + 40 * "[" + 40 * "]", "halve_at: expected at most 20 levels of nesting", id="nested"),
        ("learning_rate=0", "expected a finite learning_rate > 0, got 0"),
        ("learning_rate=Infinity", "expected a finite learning_rate > 0, got inf"),
        ("learning_rate=1e999", "expected a finite learning_rate > 0, got inf"),
        ("losses.nll=Infinity", "expected a finite weight >= 0, got inf"),
        ("losses.nll=NaN", "expected a finite weight >= 0, got nan"),
        ("betas=[0.9, 1]", "expected betas in .0, 1), got .0.9, 1.0."),
        ("betas=[-0.1, 0.9]", "expected betas in .0, 1)"),
        ("temperature=NaN", "expected 0 <= temperature <= 10, got nan"),
        ("temperature=-1", "expected 0 <= temperature <= 10, got -1"),
        ("halve_at=[-5]", "expected halve_at of steps counted from 1, got -5"),
        ("update=both", "choose from alternating, joint"),
        ("losses.pixel_hr=-1", "expected a finite weight >= 0"),
        ("discriminator_alone=9999999", "expected 0 <= discriminator_alone"),
    ],
)
def test_mistakes_are_one_line(setting, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(").replace(")", r"\)")) as error:
        RECIPES["sr_x4+"].with_settings([setting])
    assert "\n" not in str(error.value)


FILE = """
name = "mine"
preset = "case5"

[[stages]]
name = "nll"
losses = { nll = 1.0 }
iterations = 100
learning_rate = 1e-4
halve_at = [50]
hour = 10
"""


def test_recipe_files(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    assert recipe(str(path)) == Recipe("mine", CASES["case5"], (Stage("nll", Losses(nll=1.0), 100, 1e-4, (50,), 10),))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("preset", "prest", "unknown key 'prest'; did you mean preset[?] choose from stages, preset, network, name"),
        ("case5", "case9", "unknown preset 'case9'; did you mean case[1-5][?] choose from sr_x4"),
        ("halve_at", "halve", "unknown key 'halve'"),
        ("iterations = 100\nlearning_rate = 1e-4", "", "the keys 'iterations', 'learning_rate', which are missing"),
        ('preset = "case5"', "", "expected preset or network, got neither"),
        ('preset = "case5"', 'preset = "case5"\nnetwork = { k = 4 }', "network: unknown key 'k'; choose from"),
        ('preset = "case5"', 'preset = "case9"\nnetwork = { K = 4 }', "unknown preset 'case9'"),
        ('preset = "case5"', "network = { k = 4 }", "network: unknown key 'k'; choose from"),
        ("[50]", "50", "expected a list, got 50"),
        ("nll = 1.0", "nll = 0.0", "expected a weight above 0"),
        ('name = "mine"', "name = mine", "expected TOML"),
        ("iterations = 100", "iterations = " + 5000 * "9", "expected TOML, got something else"),
        ("iterations = 100", "iterations = " + 300 * "9", "expected numbers of at most 18 digits, got a larger one"),
        ("[50]", 5000 * "[" + 5000 * "]", "expected at most 20 levels of nesting"),
        ("[50]", 30 * "[" + 30 * "]", "expected at most 20 levels of nesting"),
        ("learning_rate = 1e-4", "learning_rate = inf", "expected a finite learning_rate > 0, got inf"),
        ('preset = "case5"', "network = { K = 1000000000 }", "expected K >= 1 and <= 1024, got 1000000000"),
        ('preset = "case5"', "network = { conditioner = { features = 0 } }", "expected conditioner.features >= 1"),
        ('preset = "case5"', "network = { temperature = nan }", "expected temperature >= 0 and <= 10, got nan"),
    ],
)
def test_mistakes_in_files_are_one_line(tmp_path, old, new, message):
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace(old, new, 1))
    with pytest.raises(ConfigError, match=message):
        recipe(str(path))


def test_first_weights_are_the_released_ones_or_wide(tmp_path):
    path = tmp_path / "mine.toml"
    network = "network = { K = 1, P = 1, conditioner = { features = 8, growth = 4, blocks = [1, 1] } }"
    path.write_text(FILE.replace('preset = "case5"', network))
    released = recipe(str(path))
    wide = released.with_settings(["init=wide"])
    path.write_text(FILE.replace('preset = "case5"', f'init = "wide"\n{network}'))
    assert recipe(str(path)) == wide
    assert (released.init, wide.init) == ("released", "wide")
    assert released.stages == wide.stages
    for one, spreads in ((released, None), (wide, (0.05, 0.05))):
        fcns = [module for module in new_model(one, 0).modules() if isinstance(module, FCN)]
        assert fcns
        for fcn in fcns:
            for i, conv in enumerate((fcn.conv1, fcn.conv2)):
                outs, ins, k, _ = conv.weight.shape
                xavier = 0.1 * math.sqrt(2 / (k * k * (ins + outs)))
                expected = spreads[i] if spreads else xavier
                few = 4 / math.sqrt(2 * conv.weight.numel())  # four standard errors of a standard deviation
                assert float(conv.weight.detach().std()) == pytest.approx(expected, rel=few)
            assert not fcn.conv3.weight.any()
    with pytest.raises(ConfigError, match="init: got 'narrow'; choose from released, wide"):
        released.with_settings(["init=narrow"])


def test_a_file_can_describe_its_network(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace('preset = "case5"', "network = { K = 4 }"))
    assert recipe(str(path)).network == Config(K=4)


def test_a_file_without_that_budget(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(FILE.replace("halve_at = [50]\nhour = 10\n", ""))
    mine = recipe(str(path))
    assert mine.stages[0].learning_rate_at(99) == 1e-4
    with pytest.raises(ConfigError, match="expected the key 'hour', iterations at that budget, which is missing"):
        mine.at("hour")


def test_unknown_names_list_the_choices(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown recipe 'sr_x5'; did you mean sr_x[48][?] choose from sr_x4"):
        recipe("sr_x5")
    with pytest.raises(ConfigError, match="expected a recipe file"):
        recipe(str(tmp_path / "none.toml"))


def test_losses_that_are_no_table_take_no_weights():
    with pytest.raises(ConfigError, match="losses: expected an object, got list"):
        RECIPES["sr_x4"].with_settings(["losses=[1]", "losses.nll=1"])


def test_a_file_can_change_a_presets_network(tmp_path):
    """So a rescaling network of other sizes can be written, too: TOML has no null for its missing noise."""
    path = tmp_path / "mine.toml"
    text = FILE.replace('preset = "case5"', 'preset = "rescale_x4"\nnetwork = { K = 2, conditioner = { growth = 8 } }')
    path.write_text(text.replace("{ nll = 1.0 }", "{ pixel_hr = 1.0, pixel_lr = 8, latent = 1e-5 }"))
    preset = PRESETS["rescale_x4"]
    expected = replace(preset, K=2, conditioner=replace(preset.conditioner, growth=8))
    assert recipe(str(path)).network == expected
    assert expected.q is None
