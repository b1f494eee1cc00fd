"""What a training step does differently from the textbook: the same numbers, with less memory and fewer waits."""

import pytest
import torch
import torch.nn.functional as F
from tiny import SIZES

from hcflow.checks import checking, unchecked
from hcflow.errors import InputError
from hcflow.flow.actnorm import ActNorm
from hcflow.flow.invconv import InvertibleConv, solve_together
from hcflow.model import HCFlow, bits_per_pixel
from hcflow.nets.rrdb import Conditioner
from hcflow.nets.subnets import FCN, DenseBlock, set_subnet_precision


def concatenating(block, x):
    """The dense block as the papers draw it."""
    features = [x]
    for conv in block.convs[:4]:
        features.append(F.leaky_relu(conv(torch.cat(features, 1)), 0.2))
    return block.convs[4](torch.cat(features, 1))


def test_dense_block_is_the_concatenating_one():
    block = DenseBlock(5, 3, 4, zero=False).double()
    x = torch.randn(2, 5, 7, 6, dtype=torch.float64, requires_grad=True)
    got, expected = block(x), concatenating(block, x)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    probe = torch.randn_like(got)
    inputs = [x, *block.parameters()]
    for ours, theirs in zip(
        torch.autograd.grad((got * probe).sum(), inputs),
        torch.autograd.grad((expected * probe).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_fcn_convolves_input_and_context_as_if_side_by_side():
    fcn = FCN(3 + 4, 6, 8).double().train()
    x, context = torch.randn(2, 3, 5, 5).double(), torch.randn(2, 4, 5, 5).double()
    fcn(x, context)  # initialises the ActNorms
    with torch.no_grad():
        fcn.conv3.weight.normal_()
        fcn.conv3.logs.normal_(std=0.1)
    h = F.relu(fcn.actnorm1(fcn.conv1(torch.cat((x, context), 1)))[0])
    h = F.relu(fcn.actnorm2(fcn.conv2(h))[0])
    expected = F.conv2d(h, fcn.conv3.weight, fcn.conv3.bias, padding=1) * (3 * fcn.conv3.logs).exp()
    torch.testing.assert_close(fcn(x, context), expected, rtol=0, atol=1e-12)


def model_and_batch(preset):
    torch.manual_seed(0)
    model = HCFlow(SIZES[preset]).double().train()
    scale = model.config.scale
    hr = torch.rand(2, 3, 4 * scale, 4 * scale).double()
    lr = torch.rand(2, 3, 4, 4).double()
    with torch.no_grad():
        model.encode(hr)
    return model, hr, lr


def loss_of(model, hr, lr):
    noise = torch.full_like(hr, 0.5)
    nll = bits_per_pixel(model.log_likelihood(hr, lr, noise=noise), hr[0, 0].numel()).mean()
    return nll + model.decode(lr, 0.0).square().mean()


@pytest.mark.parametrize("preset", ["sr_x4", "sr_x8"])
def test_solving_together_changes_neither_loss_nor_gradients(preset):
    model, hr, lr = model_and_batch(preset)
    apart = loss_of(model, hr, lr)
    expected = torch.autograd.grad(apart, list(model.parameters()))
    with solve_together(model):
        together = loss_of(model, hr, lr)
        assert all(module.solved for module in model.modules() if isinstance(module, InvertibleConv))
    got = torch.autograd.grad(together, list(model.parameters()))
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=0)
    for ours, theirs in zip(got, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    assert not any(module.solved for module in model.modules() if isinstance(module, InvertibleConv))


def test_lower_precision_stays_inside_the_subnets():
    model, hr, lr = model_and_batch("sr_x4")
    model, hr, lr = model.float(), hr.float(), lr.float()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, FCN):
                module.conv3.weight.normal_(std=0.02)
    exact = loss_of(model, hr, lr)
    set_subnet_precision(model, torch.bfloat16)
    assert all(m.precision for m in model.modules() if isinstance(m, FCN | Conditioner))
    rough = loss_of(model, hr, lr)
    assert rough.dtype == torch.float32
    assert 0 < abs(float(rough.detach() - exact.detach())) < 0.02 * abs(float(exact.detach()))
    rough.backward()
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    set_subnet_precision(model, None)
    torch.testing.assert_close(loss_of(model, hr, lr), exact, rtol=0, atol=0)


def test_checks_of_values_can_be_left_out_but_not_those_of_shapes():
    model, hr, _ = model_and_batch("sr_x4")
    hr[0, 0, 0, 0] = float("nan")
    with pytest.raises(InputError, match="finite"):
        model.encode(hr)
    with unchecked():
        assert not checking()
        assert not bool(torch.isfinite(model.encode(hr).log_det).all())
        with pytest.raises(InputError, match="divisible"):
            model.encode(hr[:, :, :-1])
    assert checking()


def test_actnorm_reads_its_flag_once_and_again_after_loading():
    actnorm = ActNorm(3).train()
    new = {key: value.clone() for key, value in actnorm.state_dict().items()}
    actnorm(torch.randn(2, 3, 4, 4))
    assert not actnorm.awaits_data()
    actnorm.load_state_dict(new)
    assert actnorm.awaits_data()
