"""The optimiser's step: clipping in the paper's order, and nothing happens where something is not finite."""

import math

import pytest
import torch
from torch import nn

from hcflow.train.update import Meter, Updater


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1))


def give_gradients(net, scale=1.0):
    for parameter in net.parameters():
        parameter.grad = scale * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))


def test_clips_by_value_then_by_norm_and_steps_as_adam_does():
    net, reference = network(), network()
    give_gradients(net, 100.0)
    give_gradients(reference, 100.0)
    norm, skipped = Updater(net, (0.9, 0.99), (5.0, 10.0)).step(torch.tensor(1.0), 0.01)
    adam = torch.optim.Adam(reference.parameters(), 0.01, (0.9, 0.99), fused=False)
    nn.utils.clip_grad_value_(reference.parameters(), 5.0)
    expected = nn.utils.clip_grad_norm_(reference.parameters(), 10.0)
    adam.step()
    assert float(norm) == pytest.approx(float(expected))
    assert float(norm) > 10
    assert float(skipped) == 0
    for got, wanted in zip(net.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(got, wanted)
        assert got.grad is None


def test_clips_nothing_unless_asked():
    net, reference = network(), network()
    for one in (net, reference):
        give_gradients(one, 100.0)
    norm, _ = Updater(net, (0.9, 0.99)).step(torch.tensor(1.0), 0.01)
    assert float(norm) == pytest.approx(float(nn.utils.get_total_norm([p.grad for p in reference.parameters()])))
    torch.optim.Adam(reference.parameters(), 0.01, (0.9, 0.99)).step()
    for got, wanted in zip(net.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["gradient", "loss"])
def test_what_is_not_finite_changes_nothing(bad, place):
    net = network()
    updater = Updater(net, (0.9, 0.99), (5.0, 100.0))
    give_gradients(net)
    updater.step(torch.tensor(1.0), 0.01)
    before = [parameter.detach().clone() for parameter in net.parameters()]
    state = {key: value.clone() for key, value in updater.state().items()}
    give_gradients(net)
    if place == "gradient":
        net[0].weight.grad[0, 0, 0, 0] = bad  # clipping by value alone would hide infinity
    _, skipped = updater.step(torch.tensor(bad if place == "loss" else 1.0), 0.01)
    assert float(skipped) == 1
    for parameter, old in zip(net.parameters(), before, strict=True):
        assert torch.equal(parameter, old)
    for key, value in updater.state().items():
        assert torch.equal(value, state[key]), key
    give_gradients(net)
    _, skipped = updater.step(torch.tensor(1.0), 0.01)
    assert float(skipped) == 0
    assert not torch.equal(net[0].weight, before[0])


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_state_goes_on_bit_for_bit(layout):
    straight, broken = network().to(memory_format=layout), network().to(memory_format=layout)
    one, two = (Updater(net, (0.9, 0.99), (5.0, 100.0)) for net in (straight, broken))
    for updater, net in ((one, straight), (two, broken)):
        give_gradients(net)
        updater.step(torch.tensor(1.0), 0.01)
    resumed = Updater(broken, (0.9, 0.99), (5.0, 100.0))
    resumed.load_state({key: value.contiguous().clone() for key, value in two.state().items()})
    for updater, net in ((one, straight), (resumed, broken)):
        give_gradients(net, 0.5)
        updater.step(torch.tensor(1.0), 0.02)
    for got, wanted in zip(broken.parameters(), straight.parameters(), strict=True):
        assert torch.equal(got, wanted)


def test_meter_averages_the_steps_that_counted():
    meter = Meter()
    good, bad = torch.tensor(0.0), torch.tensor(1.0)
    meter.add({"loss": torch.tensor(2.0)}, [good])
    meter.add({"loss": torch.tensor(math.nan)}, [good, bad])
    meter.add({"loss": torch.tensor(4.0)}, [good, good])
    meter.add({"loss": torch.tensor(math.inf)}, [bad])
    meter.add({"loss": torch.tensor(1.0)}, [bad])
    assert meter.in_a_row() == 2
    assert meter.read() == ({"loss": 3.0}, 3)
    meter.add({"loss": torch.tensor(1.0)}, [bad])
    assert meter.in_a_row() == 3  # the run of failures goes on from look to look
    assert meter.read() == ({}, 1)
    meter.add({"loss": torch.tensor(7.0)}, [good])
    assert meter.in_a_row() == 0
    assert meter.read() == ({"loss": 7.0}, 0)
    assert meter.read() == ({}, 0)


def test_meter_averages_a_loss_over_the_steps_that_had_it():
    meter = Meter()
    good = torch.tensor(0.0)
    meter.add({"discriminator": torch.tensor(1.0)}, [good])
    meter.add({"discriminator": torch.tensor(3.0), "gan": torch.tensor(8.0)}, [good])
    assert meter.read() == ({"discriminator": 2.0, "gan": 8.0}, 0)
