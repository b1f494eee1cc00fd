"""Checkpoints: both layouts, round trips, and the refusal of everything else."""

import pickle

import pytest
import torch
from golden_files import read, weights
from tiny import SIZES, images, model

import hcflow
from hcflow.checkpoint import from_official, to_official
from hcflow.config import Config, ConfigError
from hcflow.errors import CheckpointError, HCFlowError


@pytest.fixture(scope="module", params=["sr_x4_tiny", "sr_x8_tiny", "rescale_x4_tiny"])
def official(request):
    return weights(read(request.param)[0])


@pytest.fixture
def state():
    return weights(read("sr_x4_tiny")[0])


def test_official_round_trip(official, tmp_path):
    torch.save({f"module.{key}": value for key, value in official.items()}, tmp_path / "a.pth")
    net = hcflow.load(tmp_path / "a.pth")
    hcflow.export(net, tmp_path / "b.pth")
    again = torch.load(tmp_path / "b.pth", weights_only=True)
    assert again.keys() == official.keys()
    for key, value in official.items():
        assert torch.equal(again[key], value), key
    assert hcflow.info(tmp_path / "b.pth").initialised
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.pth", "b.pth"]


@pytest.mark.parametrize("name", SIZES)
@torch.no_grad()
def test_own_format_round_trip(name, tmp_path):
    net = model(name, torch.float32)
    hcflow.save(net, tmp_path / "net.safetensors")
    again = hcflow.load(tmp_path / "net.safetensors")
    assert again.config == net.config
    _, lr = images(net.config, dtype=torch.float32)
    draws = [each.decode(lr, 0.9, generator=torch.Generator().manual_seed(1)) for each in (net, again)]
    assert torch.equal(*draws)
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]


def test_own_format_keeps_the_initialised_flag(tmp_path):
    net = hcflow.HCFlow(SIZES["sr_x4"])
    hcflow.save(net, tmp_path / "new.safetensors")
    assert not hcflow.info(tmp_path / "new.safetensors").initialised
    assert not any(bool(flag) for flag in hcflow.load(tmp_path / "new.safetensors").buffers())


def test_a_model_trained_after_loading_keeps_gradients(state):
    net = from_official(state)
    assert all(parameter.requires_grad for parameter in net.parameters())


KEY = "flow.level1_condFlow.RRDB_trunk0.0.RDB2.conv3.weight"


def damaged(state, how):
    if how == "missing":
        del state[KEY]
    elif how == "left over":
        state["flow.layers.99.actnorm.extra"] = torch.zeros(1)
    elif how == "shape":
        state[KEY] = torch.zeros(4, 16, 1, 1)
    elif how == "nan":
        state[KEY][0, 0, 0, 0] = float("nan")
    return state


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", f"expected the key {KEY}, which is missing"),
        ("left over", "unexpected key flow.layers.99.actnorm.extra"),
        ("shape", rf"expected {KEY} of shape \(4, 16, 3, 3\), got \(4, 16, 1, 1\)"),
        ("nan", f"expected finite weights, got NaN or infinity in {KEY}"),
    ],
)
def test_the_first_wrong_key_is_named(state, how, message):
    with pytest.raises(CheckpointError, match=message):
        from_official(damaged(state, how))


def test_a_damaged_key_that_sizes_are_told_from_is_named_in_a_published_network():
    full = weights(read("rescale_x4_full")[0])
    full["flow.level0_condFlow.conv_first.weight"] = torch.zeros(63, 70, 3, 3)
    with pytest.raises(CheckpointError, match=r"conv_first.weight of shape \(64, 70, 3, 3\), got \(63"):
        from_official(full)


def test_other_networks_are_refused():
    with pytest.raises(CheckpointError, match="expected keys of an HCFlow network"):
        from_official({"conv_first.weight": torch.zeros(3, 3)})


class Attack:
    def __reduce__(self):
        return (print, ("code was run",))


@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_with_code_are_refused(tmp_path, capsys, protocol):
    (tmp_path / "evil.pth").write_bytes(pickle.dumps({"a": Attack()}, protocol))
    torch.save({"a": Attack()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(CheckpointError, match="expected a"):
            hcflow.load(tmp_path / name)
    assert "code was run" not in capsys.readouterr().out


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, 0.99])
@pytest.mark.parametrize("layout", ["official", "own"])
def test_truncated_files_are_refused(state, tmp_path, keep, layout):
    path = tmp_path / "net"
    net = from_official(state)
    (hcflow.export if layout == "official" else hcflow.save)(net, path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match="expected a"):
        hcflow.load(path)


def test_files_that_are_no_checkpoints_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        hcflow.load(tmp_path / "nothing.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="expected a state dict, got list"):
        hcflow.load(tmp_path / "list.pth")
    torch.save({"a": 1}, tmp_path / "number.pth")
    with pytest.raises(CheckpointError, match="expected a tensor under every key"):
        hcflow.load(tmp_path / "number.pth")


@pytest.mark.parametrize("name", ["case1", "case2", "case3", "case4", "case5"])
def test_ablation_cases_have_no_official_layout(name):
    with pytest.raises(CheckpointError, match="official layout cannot express"):
        to_official(model(name, torch.float32))


@pytest.mark.parametrize("name", SIZES)
def test_config_round_trip(name):
    assert Config.from_json(SIZES[name].to_json()) == SIZES[name]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object, got list"),
        ('{"levels": 2}', "unknown key 'levels'; choose from L, K, P"),
        ('{"conditioner": {"nf": 64}}', "unknown key 'nf'; choose from features, growth"),
        ('{"squeeze": "wavelet"}', "choose from pixel, haar"),
        ('{"L": "two"}', "config.L: expected int, got 'two'"),
        ('{"L": true}', "config.L: expected int, got True"),
        ('{"L": 0}', "expected L >= 1 and <= 8, got 0"),
        ('{"conditioner": {"blocks": [1]}}', "expected a list of 2 integers"),
        ('{"lr_in_latent": false}', "there is no y_L to see"),
    ],
)
def test_wrong_configs_say_what_was_expected(text, message):
    with pytest.raises(ConfigError, match=message):
        Config.from_json(text)


def test_unknown_presets_list_the_choices():
    with pytest.raises(ConfigError, match="choose from sr_x4, sr_x8, rescale_x4, case1"):
        hcflow.preset("sr_x2")
    assert issubclass(ConfigError, HCFlowError)
    assert issubclass(HCFlowError, ValueError)


def test_half_precision_takes_half_the_space_and_comes_back_as_float32(tmp_path):
    net = model("rescale_x4").float()
    hcflow.save(net, tmp_path / "whole.safetensors")
    hcflow.save(net, tmp_path / "half.safetensors", half=True)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("half", "whole")]
    headers = [safetensors_header_size(tmp_path / f"{name}.safetensors") for name in ("half", "whole")]
    assert 2 * (sizes[0] - headers[0]) < 1.02 * (sizes[1] - headers[1])
    back = hcflow.load(tmp_path / "half.safetensors")
    for (name, got), (_, expected) in zip(back.named_parameters(), net.named_parameters(), strict=True):
        assert got.dtype == torch.float32, name
        torch.testing.assert_close(got, expected, rtol=2**-11, atol=2**-24)
    with torch.no_grad():
        next(net.parameters()).fill_(1e6)
    with pytest.raises(CheckpointError, match=r"in float16: expected finite weights"):
        hcflow.save(net, tmp_path / "large.safetensors", half=True)
    assert not (tmp_path / "large.safetensors").exists()


def safetensors_header_size(path):
    return 8 + int.from_bytes(path.read_bytes()[:8], "little")
