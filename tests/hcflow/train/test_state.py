"""Saves: whole or not there, recognised when damaged, the last few kept."""

import dataclasses
import errno

import pytest
import torch

from hcflow.errors import CheckpointError
from hcflow.train import state as state_module
from hcflow.train.folder import OutOfSpaceError
from hcflow.train.state import Identity, Position, States

IDENTITY = Identity('{"a": [{"b": 1}]}', 3, "abc", "def")


def tensors(value=1.0):
    return {
        "model.weight": torch.full((2, 3, 1, 1), value).to(memory_format=torch.channels_last),
        "model.initialised": torch.tensor(True),
        "adam.0.step": torch.tensor(value),
    }


def save(states, step, value=1.0):
    return states.save(Position(0, step, step, 1), tensors(value), IDENTITY, {"id": "7"})


def test_what_is_saved_is_read(tmp_path):
    states = States(tmp_path)
    path = save(states, 5)
    saved = states.latest(pytest.fail)
    assert (saved.path, saved.position) == (path, Position(0, 5, 5, 1))
    assert (saved.identity, saved.run) == (IDENTITY, {"id": "7"})
    for key, value in tensors().items():
        assert torch.equal(saved.tensors[key], value)


def test_nothing_saved(tmp_path):
    assert States(tmp_path / "none").latest(pytest.fail) is None


def test_the_last_few_are_kept(tmp_path):
    states = States(tmp_path, keep=2)
    paths = [save(states, step) for step in (1, 2, 10)]
    assert states.paths() == paths[1:]
    (tmp_path / "state" / "notes.txt").write_text("mine")
    save(states, 11)
    assert (tmp_path / "state" / "notes.txt").exists()


def steps_of(states):
    return [int(path.stem[5:]) for path in states.paths()]


def test_the_save_that_passed_a_validation_is_kept_and_what_came_after_it_can_be_dropped(tmp_path):
    states = States(tmp_path, keep=2)
    for step in (1, 2, 3, 4, 5):
        save(states, step)
        if step == 2:
            states.mark_validated(2)
    assert steps_of(states) == [2, 4, 5]
    assert States(tmp_path).validated() == 2
    states.drop_since_validated(5)
    assert steps_of(states) == [2]
    states.drop_from(2)
    assert steps_of(states) == [2]  # never the last one


def test_without_a_validation_that_passed_the_oldest_save_is_left_but_not_the_one_that_failed(tmp_path):
    states = States(tmp_path, keep=5)
    for step in (1, 2, 3):
        save(states, step)
    states.mark_validated(7)  # not saved, so it means nothing
    assert states.validated() is None
    states.drop_since_validated(3)
    assert steps_of(states) == [1]
    states.drop_since_validated(1)
    assert steps_of(states) == []


def test_another_save_of_the_same_number_did_not_pass(tmp_path):
    states = States(tmp_path)
    for step in (1, 7):
        save(states, step)
    states.mark_validated(7)
    states.mark_validated(8)
    assert states.validated() == 7
    states.drop_from(7)
    save(states, 7)
    assert states.validated() is None


def test_a_save_counts_only_what_came_before_it(tmp_path):
    """A run that went back past a damaged save is not to lose the ones it has for that one's sake."""
    states = States(tmp_path, keep=1)
    save(states, 1000)
    flip_a_bit(save(States(tmp_path, keep=9), 1500))
    path = save(states, 1200)
    assert states.paths() == [path]


def test_a_save_of_another_version_is_not_called_damaged(tmp_path, monkeypatch):
    states = States(tmp_path)
    monkeypatch.setattr(state_module, "asdict", lambda one: dataclasses.asdict(one) | {"gone": 1})
    save(states, 1)
    with pytest.raises(CheckpointError, match=r"expected a save of this version, got one of another .*'gone'"):
        states.latest(pytest.fail)


def test_identities_say_what_differs():
    other = Identity('{"a": [{"b": 2}], "c": [1, 2]}', 4, "xyz", "")
    assert IDENTITY.differences(IDENTITY) == []
    assert IDENTITY.differences(other) == [
        "a.0.b: 2 there, 1 here",
        "c: [1, 2] there, nothing here",
        "seed: 4 there, 3 here",
        "training images: xyz there, abc here",
        "initial weights: new ones there, def here",
    ]


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not a save at all"),
        flip_a_bit,
    ],
    ids=["cut", "empty", "foreign", "one bit"],
)
def test_a_damaged_save_falls_back_to_the_one_before(tmp_path, damage):
    states = States(tmp_path)
    before = save(states, 1, 0.5)
    newest = save(states, 2)
    damage(newest)
    said = []
    saved = states.latest(said.append)
    assert saved.path == before
    assert float(saved.tensors["adam.0.step"]) == 0.5
    assert len(said) == 1
    assert str(newest) in said[0]
    assert "going back to the save before it" in said[0]
    damage(before)
    with pytest.raises(CheckpointError, match="only damaged ones"):
        states.latest(said.append)


def test_a_full_disk_keeps_the_last_good_save(tmp_path, monkeypatch):
    states = States(tmp_path)
    good = save(states, 1)

    def full(values, path, about):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(state_module, "save_file", full)
    with pytest.raises(
        OutOfSpaceError, match=r"No space left on device; .*step-00000001.safetensors is kept: make room"
    ):
        save(states, 2)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == [good.name]
    monkeypatch.undo()
    assert states.latest(pytest.fail).path == good


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(OutOfSpaceError, match="nothing had been saved before"):
        save(States(tmp_path), 1)
