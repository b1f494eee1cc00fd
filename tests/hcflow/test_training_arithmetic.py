"""What a training step does differently from the textbook: the same numbers, with less memory and fewer waits."""

import pytest
import torch
import torch.nn.functional as F
from tiny import SIZES
from torch import nn

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


def same_value_and_gradients(ours, theirs, inputs):
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    probe = torch.randn_like(ours)
    got, expected = (torch.autograd.grad((each * probe).sum(), inputs) for each in (ours, theirs))
    for one, other in zip(got, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("channels", "outs", "growth"), [(5, 3, 4), (1, 1, 1), (3, 18, 2), (16, 8, 3)])
@pytest.mark.parametrize("size", [(2, 7, 6), (1, 5, 5), (3, 1, 1)])
def test_dense_block_is_the_concatenating_one(channels, outs, growth, size, order):
    n, height, width = size
    block = DenseBlock(channels, outs, growth, zero=False).double()
    wider = torch.randn(n, channels + 2, height, width).double().contiguous(memory_format=order).requires_grad_()
    x = wider[:, 1:-1]  # a part of more channels, as couplings give it
    inputs = [wider, *block.parameters()]
    same_value_and_gradients(block(x), concatenating(block, x), inputs)
    same_value_and_gradients(block(x.detach()), concatenating(block, x.detach()), inputs[1:])


def test_dense_block_keeps_no_concatenation():
    block = DenseBlock(16, 16, 8, zero=False)
    x = torch.randn(1, 16, 9, 9, requires_grad=True)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        block(x)
    weights = sum(conv.weight.numel() for conv in block.convs)
    assert sum(kept) <= (16 + 4 * 8) * 81 + weights  # the input, four features, and the weights


def test_dense_block_in_lower_precision_is_as_exact_as_autocast():
    torch.manual_seed(0)
    block = DenseBlock(6, 4, 8, zero=False)
    x = torch.randn(2, 6, 8, 8)

    def gradients(run):
        return torch.autograd.grad(run().float().square().sum(), list(block.parameters()))

    def error(got):
        return torch.cat([(one - other).flatten() for one, other in zip(got, exact, strict=True)]).norm()

    exact = gradients(lambda: concatenating(block, x))
    with torch.autocast("cpu", torch.bfloat16):
        plain = gradients(lambda: concatenating(block, x))
    set_subnet_precision(nn.ModuleList([block]), torch.bfloat16)
    assert block(x).dtype == torch.bfloat16
    ours = gradients(lambda: block(x))
    assert {gradient.dtype for gradient in ours} == {torch.float32}
    assert 0 < error(ours) < 1.5 * error(plain)


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
def test_fcn_convolves_input_and_context_as_if_side_by_side(order):
    fcn = FCN(3 + 4, 6, 8).double().train()
    x, context = (torch.randn(2, c, 5, 5).double().contiguous(memory_format=order).requires_grad_() for c in (3, 4))
    fcn(x, context)  # initialises the ActNorms
    with torch.no_grad():
        fcn.conv3.weight.normal_()
        fcn.conv3.logs.normal_(std=0.1)
    h = F.relu(fcn.actnorm1(fcn.conv1(torch.cat((x, context), 1)))[0])
    h = F.relu(fcn.actnorm2(fcn.conv2(h))[0])
    expected = F.conv2d(h, fcn.conv3.weight, fcn.conv3.bias, padding=1) * (3 * fcn.conv3.logs).exp()
    same_value_and_gradients(fcn(x, context), expected, [x, context, *fcn.parameters()])


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
