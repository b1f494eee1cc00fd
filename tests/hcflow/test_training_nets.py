"""The networks that only train others: the discriminator and the VGG19 features of HCFlow++."""

import hashlib

import pytest
import torch
from golden_files import read, ruled_weights

from hcflow.errors import CheckpointError, InputError
from hcflow.nets.discriminator import Discriminator
from hcflow.nets.perceptual import VGG19Features, load_vgg19

# The golden arrays differ from a float64 run by at most 1e-5 of their range.
TOLERANCE = 1e-4


def close(ours, golden):
    assert ours.shape == golden.shape
    assert (ours - golden).abs().max() <= TOLERANCE * (golden.max() - golden.min())


def golden(name):
    description, arrays = read(f"baselines/{name}")
    return description, {key: torch.from_numpy(value) for key, value in arrays.items()}


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


def test_discriminator_is_the_released_one():
    description, arrays = golden("discriminator_vgg160")
    net = Discriminator().eval()
    assert {key: list(value.shape) for key, value in net.state_dict().items()} == description["shapes"]
    assert list(net.state_dict()) == list(description["shapes"])
    assert count(net.parameters()) == description["params_trainable"] == 14_960_201
    floats = [value for value in net.state_dict().values() if value.is_floating_point()]
    assert count(floats) == description["params_total"]
    net.load_state_dict(ruled_weights(description, net.state_dict()))
    with torch.no_grad():
        close(net(arrays["x"]), arrays["out"])


@pytest.mark.parametrize("patch", [32, 128])
def test_discriminator_of_other_patches(patch):
    net = Discriminator(patch)
    x = torch.rand(2, 3, patch, patch, requires_grad=True)
    logits = net(x)
    assert logits.shape == (2, 1)
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in [x, *net.parameters()])


@pytest.mark.parametrize("patch", [0, -32, 16, 100, 161])
def test_discriminator_refuses_patches_that_32_does_not_divide(patch):
    with pytest.raises(InputError, match=rf"patch divisible by 32, such as 160, got {patch}$"):
        Discriminator(patch)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 3, 64, 64), r"shape \(2, 3, 32, 32\), got \(2, 3, 64, 64\)"),
        (torch.zeros(2, 1, 32, 32), r"shape \(2, 3, 32, 32\), got \(2, 1, 32, 32\)"),
        (torch.tensor(0.0), r"got \(\)"),
        (torch.zeros(2, 3, 32, 32, dtype=torch.uint8), "divide 8-bit values by 255"),
    ],
)
def test_discriminator_refuses_other_images(x, message):
    with pytest.raises(InputError, match=message):
        Discriminator(32)(x)


@pytest.fixture(scope="module")
def vgg():
    """(golden arrays, state dict in torchvision's layout)."""
    description, arrays = golden("vgg19_conv5_4")
    net = VGG19Features()
    assert {key: list(value.shape) for key, value in net.state_dict().items()} == description["shapes"]
    assert count(net.parameters()) == 20_024_384
    state = ruled_weights(description, net.state_dict())
    return arrays, {key: value for key, value in state.items() if key not in description["kept"]}


def saved(state, path):
    torch.save(state | {"classifier.0.weight": torch.zeros(2, 2)}, path)
    return path


def test_vgg19_features_are_those_of_the_released_code(vgg, tmp_path):
    arrays, state = vgg
    net = load_vgg19(saved(state, tmp_path / "vgg19.pth"))
    assert not net.training
    assert not any(parameter.requires_grad for parameter in net.parameters())
    close(net(arrays["x"]), arrays["out"])
    x = arrays["x"][..., :32, :47].clone().requires_grad_()
    features = net(x)
    assert features.shape == (1, 512, 2, 2)
    features.square().sum().backward()
    assert x.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(1, 3, 15, 64), "sides of 16 pixels or more, got 15x64"),
        (torch.zeros(1, 1, 64, 64), "shape"),
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), "divide 8-bit values by 255"),
    ],
)
def test_vgg19_refuses_other_images(x, message):
    with torch.device("meta"):
        net = VGG19Features()
    with pytest.raises(InputError, match=message):
        net(x)


def damaged(state, how):
    state = dict(state)
    if how == "missing":
        del state["features.34.bias"]
    elif how == "extra":
        state["features.1.weight"] = torch.zeros(64)
    elif how == "shape":
        state["features.0.weight"] = torch.zeros(64, 1, 3, 3)
    elif how == "nan":
        state["features.0.bias"] = torch.full((64,), torch.nan)
    elif how == "foreign":
        state = {"conv.weight": torch.zeros(1)}
    return state


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "expected the key features.34.bias, which is missing; give torchvision's vgg19-dcbb9e9d.pth"),
        ("extra", "got the unexpected key features.1.weight"),
        ("shape", r"features.0.weight of shape \(64, 3, 3, 3\), got \(64, 1, 3, 3\)"),
        ("nan", "NaN or infinity in features.0.bias"),
        ("foreign", "expected the key features.0.weight, which is missing"),
    ],
)
def test_other_weights_than_vgg19s_are_refused(vgg, tmp_path, how, message):
    with pytest.raises(CheckpointError, match=message) as error:
        load_vgg19(saved(damaged(vgg[1], how), tmp_path / "vgg19.pth"))
    assert "\n" not in str(error.value)


def test_a_missing_vgg19_says_where_it_is_found(tmp_path):
    message = r"expected torchvision's vgg19-dcbb9e9d.pth for the perceptual loss, got .*no.pth, which .* https://download.pytorch.org/models/vgg"
    with pytest.raises(CheckpointError, match=message):
        load_vgg19(tmp_path / "no.pth")


def test_a_name_that_claims_a_digest_is_held_to_it(vgg, tmp_path):
    path = saved(vgg[1], tmp_path / "vgg19-dcbb9e9d.pth")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(CheckpointError, match=f"SHA-256 that starts with dcbb9e9d as the name says, got {digest[:8]}"):
        load_vgg19(path)
    load_vgg19(path.rename(tmp_path / f"vgg19-{digest[:8]}.pth"))


class Attack:
    def __reduce__(self):
        return (print, ("code was run",))


def test_vgg19_pickles_with_code_are_refused(tmp_path, capsys):
    torch.save({"features.0.weight": Attack()}, tmp_path / "vgg19.pth")
    with pytest.raises(CheckpointError, match="it was not run"):
        load_vgg19(tmp_path / "vgg19.pth")
    assert "code was run" not in capsys.readouterr().out
