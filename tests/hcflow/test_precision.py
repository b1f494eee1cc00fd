"""The flags of strict float32; what they do to numbers takes a GPU."""

import pytest
import torch

from hcflow.precision import _NEW, _owners, float32_convolutions, strict


@pytest.fixture(autouse=True)
def defaults():
    """PyTorch's, before and after every test."""
    before = [owner.fp32_precision for owner in _owners()]
    yield
    torch.backends.cudnn.allow_tf32 = True
    torch.set_float32_matmul_precision("highest")
    for owner, value in zip(_owners(), before, strict=True):
        owner.fp32_precision = value


def flags():
    older = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    return [*older, torch.get_float32_matmul_precision(), *(owner.fp32_precision for owner in _owners())]


def test_cudnn_rounds_convolutions_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # whatever other tests left
    before = flags()
    assert float32_convolutions() == "tf32"  # PyTorch's default, and the reason for `strict`
    with strict():
        assert float32_convolutions() == "ieee"
        assert flags()[:3] == [False, False, "highest"]
        assert set(flags()[3:]) <= {"ieee"}
    assert float32_convolutions() == "tf32"
    assert flags() == before


@pytest.mark.skipif(not _NEW, reason="needs PyTorch 2.9")
@pytest.mark.parametrize("value", ["ieee", "tf32"])
def test_what_was_set_before_comes_back(value):
    for owner in _owners()[:2]:
        owner.fp32_precision = value
    before = [owner.fp32_precision for owner in _owners()]
    with strict():
        pass
    assert [owner.fp32_precision for owner in _owners()] == before
    with pytest.raises(KeyError), strict():
        raise KeyError
    assert [owner.fp32_precision for owner in _owners()] == before


@pytest.mark.parametrize("matmul", ["highest", "high", "medium"])
@pytest.mark.parametrize("cudnn", [True, False])
def test_what_was_set_through_the_older_flags_comes_back(matmul, cudnn):
    torch.backends.cudnn.allow_tf32 = cudnn
    torch.set_float32_matmul_precision(matmul)
    before = flags()

    @strict()
    def inside():
        return flags()[:3]

    assert inside() == [False, False, "highest"]
    assert flags() == before


def test_one_inside_another():
    with strict():
        with strict():
            pass
        assert float32_convolutions() == "ieee"


def suspended():
    with strict():
        yield


@pytest.mark.parametrize("value", ["ieee", "tf32"])
def test_blocks_that_end_in_another_order(value):
    torch.backends.cudnn.allow_tf32 = value == "tf32"
    before = flags()
    abandoned = suspended()
    next(abandoned)
    with strict():
        abandoned.close()
        assert float32_convolutions() == "ieee"
    assert flags() == before

    first, second, third = suspended(), suspended(), suspended()
    for each in (first, second, third):
        next(each)
    for each in (second, third, first):
        assert float32_convolutions() == "ieee"
        each.close()
    assert flags() == before


def test_what_was_set_inside_comes_back_for_the_block_around():
    before = flags()
    with strict():
        torch.backends.cudnn.allow_tf32 = True
        with strict():
            assert float32_convolutions() == "ieee"
        assert float32_convolutions() == "tf32"
    assert flags() == before
