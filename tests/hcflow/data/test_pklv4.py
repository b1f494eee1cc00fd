"""SRFlow's .pklv4 files: what they hold comes out exactly, and nothing else is opened."""

import io
import math
import os
import pickle
import struct

import numpy as np
import pytest

from hcflow.__main__ import main
from hcflow.data.pklv4 import import_pklv4, read_pklv4
from hcflow.errors import InputError
from hcflow.images.io import read_image, write_png

RNG = np.random.default_rng(0)


def images(count=3, shape=(6, 5, 3)):
    return [RNG.integers(0, 256, shape, dtype=np.uint8) for _ in range(count)]


def written(path, value, protocol=4):
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return path


def refused(path):
    """The one line that a file is refused with."""
    with pytest.raises(InputError) as error:
        read_pklv4(path)
    message = str(error.value)
    assert message.startswith(str(path)) or "which does not exist" in message
    assert "\n" not in message
    assert len(message) < len(str(path)) + 300
    return message


@pytest.mark.parametrize("protocol", [3, 4])
@pytest.mark.parametrize("container", [list, tuple])
def test_images_come_out_as_they_went_in(tmp_path, protocol, container):
    # more than the 1000 items that one APPENDS takes, and one image whose size needs more than one byte
    hr = [*images(1100, (2, 3, 3)), *images(1, (20, 30, 3))]
    out = list(read_pklv4(written(tmp_path / "a.pklv4", container(hr), protocol)))
    assert len(out) == len(hr)
    assert all(np.array_equal(one, other) for one, other in zip(hr, out, strict=True))
    assert all(image.flags.writeable for image in out)


def test_layouts(tmp_path):
    (hwc,) = images(1, (8, 9, 3))
    stored = [hwc, hwc.transpose(2, 0, 1), np.asfortranarray(hwc), hwc[2:7, 1:6], images(1, (3, 4, 3))[0]]
    out = list(read_pklv4(written(tmp_path / "a.pklv4", stored)))
    for expected, got in zip([hwc, hwc, hwc, hwc[2:7, 1:6], stored[-1]], out, strict=True):
        assert np.array_equal(expected, got)
        assert got.flags.c_contiguous


def test_both_names_of_numpys_core_and_imageios_arrays(tmp_path):
    hr = images(2)
    data = pickle.dumps(hr, 4)
    ours = next(name for name in (b"\x16numpy._core.multiarray", b"\x15numpy.core.multiarray") if name in data)
    older = data.replace(b"\x8c" + ours, b"\x8c\x15numpy.core.multiarray")
    newer = data.replace(b"\x8c" + ours, b"\x8c\x16numpy._core.multiarray")
    # what crops of images pickled as when imageio's imread still returned its own class
    foreign = newer.replace(b"\x8c\x05numpy\x94\x8c\x07ndarray", b"\x8c\x11imageio.core.util\x94\x8c\x05Array")
    foreign = foreign.replace(b"\x94h\x04\x8c\x05dtype", b"\x94\x8c\x05numpy\x8c\x05dtype")
    for name, variant in (("older", older), ("newer", newer), ("imageio", foreign)):
        # frames declare sizes, which the variants change; Python's own unpickler would mind
        for one, other in zip(hr, read_pklv4(written(tmp_path / name, variant)), strict=True):
            assert np.array_equal(one, other)


def test_imageios_own_pickles(tmp_path):
    util = pytest.importorskip("imageio.core.util")
    (pixels,) = images(1, (8, 8, 3))
    crop = util.Array(pixels)[1:5, 2:7]
    assert type(crop) is not np.ndarray
    (out,) = read_pklv4(written(tmp_path / "a.pklv4", [crop]))
    assert type(out) is np.ndarray
    assert np.array_equal(out, pixels[1:5, 2:7])


class Call:
    """Pickles as a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


class WithState(np.ndarray):
    pass


def stack_global(module, name):
    """A call of what STACK_GLOBAL finds, without arguments."""
    texts = b"".join(b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, name))
    return b"\x80\x04" + texts + b"\x93)R."


MALICIOUS = {
    "os.system": (pickle.dumps([Call(os.system, "touch hacked")], 4), f"'{os.system.__module__}.system'"),
    "eval": (pickle.dumps([Call(eval, "open('hacked', 'w')")], 4), "'builtins.eval'"),
    "numpy.load": (pickle.dumps([Call(np.load, "x")], 4), "load'"),
    "among images": (pickle.dumps([*images(), Call(os.system, "touch hacked")], 4), ".system'"),
    "protocol 0": (pickle.dumps([Call(os.system, "touch hacked")], 0), "damaged or foreign"),
    "protocol 2": (b"\x80\x02cos\nsystem\nX\x0c\x00\x00\x00touch hacked\x85R.", "'os.system'"),
    "inst": (b"\x80\x04(X\x0c\x00\x00\x00touch hackedios\nsystem\n.", "'os.system'"),
    "obj": (b"\x80\x04(cos\nsystem\nX\x0c\x00\x00\x00touch hackedo.", "'os.system'"),
    "dotted name": (stack_global("numpy", "core.multiarray._reconstruct"), "'numpy.core.multiarray._reconstruct'"),
    "dotted to os": (stack_global("numpy", "ma.core.os.system"), "'numpy.ma.core.os.system'"),
    "dotted method": (stack_global("numpy", "ndarray.tofile"), "'numpy.ndarray.tofile'"),
    "scalar": (stack_global("numpy.core.multiarray", "scalar"), "'numpy.core.multiarray.scalar'"),
    "getattr": (stack_global("builtins", "getattr"), "'builtins.getattr'"),
    "__main__": (stack_global("__main__", "x"), "'__main__.x'"),
    "extension registry": (stack_global("copyreg", "_reconstructor"), "'copyreg._reconstructor'"),
    "line break": (stack_global("os\n", "system\x1b[2J"), r"'os\n.system\x1b[2J'"),
    "long name": (stack_global("os" * 100, "system"), "'osososos"),
    "subclass": (pickle.dumps([WithState((2, 2, 3), np.uint8)], 4), "WithState'"),
    "persistent id": (b"\x80\x04X\x01\x00\x00\x00aQ.", "asks for a persistent id"),
    "persistent line": (b"\x80\x04Pa\n.", "asks for a persistent id"),
    "extension 1": (b"\x80\x04\x82\x01.", "asks for an extension code"),
    "extension 4": (b"\x80\x04\x84\x01\x00\x00\x00.", "asks for an extension code"),
    "newobj": (b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93K\x01\x85\x81.", "instruction NEWOBJ"),
    "buffers": (pickle.dumps(images(), 5), "numeric._frombuffer'"),
    "set": (pickle.dumps({1}, 4), "instruction EMPTY_SET"),
    "dictionary": (pickle.dumps({"a": images(1)[0]}, 4), "instruction EMPTY_DICT"),
    "call of ndarray": (b"\x80\x04\x8c\x05numpy\x8c\x07ndarrayK\x01\x85\x93R.", "damaged or foreign"),
    "ndarray of a size": (b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93JXXXX\x85R.", "asks for another call"),
    "call of a call": (b"\x80\x04\x8c\x05numpy\x8c\x05dtype\x93\x8c\x05numpy\x8c\x05dtype\x93\x85R.", "another call"),
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_nothing_is_run(name, tmp_path, monkeypatch):
    data, message = MALICIOUS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(pickle, "loads", None)
    got = refused(written(tmp_path / "evil.pklv4", data))
    assert message in got
    assert os.listdir() == ["evil.pklv4"]  # noqa: PTH208
    if "asks for" in message:
        assert got.endswith("; it was not run")


WRONG = {
    "grey": (images(1, (6, 5)), "image 1: expected shape (H, W, 3) or (3, H, W), got (6, 5)"),
    "second grey": (images(1) + images(1, (6, 5)), "image 2: expected shape"),
    "four channels": (images(1, (6, 5, 4)), "got (6, 5, 4)"),
    "no pixels": (images(1, (0, 5, 3)), "got (0, 5, 3)"),
    "batch": (images(1, (2, 6, 5, 3)), "got (2, 6, 5, 3)"),
    "scalar": ([np.array(3, np.uint8)], "got ()"),
    "floats": ([images(1)[0] / 255], "expected arrays of 8-bit pixels (dtype u1), got dtype 'f8'"),
    "signed": ([images(1)[0].astype(np.int8)], "got dtype 'i1'"),
    "bool": ([images(1)[0] > 3], "got dtype 'b1'"),
    "objects": ([np.array([None, [1]], dtype=object)], "got dtype 'O8'"),
    "records": ([np.zeros((4, 4, 3), [("a", "u1")])], "got dtype 'V1'"),
    "numbers": ([1, 2], "image 1: expected an array, got int"),
    "bytes": ([b"abc"], "image 1: expected an array, got bytes"),
    "lists": ([images(1)], "image 1: expected an array, got list"),
    "empty list": ([], "expected a list of images, got an empty list"),
    "one array": (images(1)[0], "expected a list of images, got one array"),
    "text": ("hello", "expected a list of images, got str"),
    "long text": ("x" * 5000, "got a text of 5,000 bytes"),
    "long number": ([2**60], "image 1: expected an array, got int"),
    "float": ([0.5], "instruction BINFLOAT"),
    "empty file": (b"", "ends in the middle"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "damaged or foreign"),
    "later protocol": (b"\x80\x06].", "damaged or foreign"),
    "zip": (b"PK\x03\x04" + bytes(100), "damaged or foreign"),
    "numpy file": (b"\x93NUMPY\x01\x00", "damaged or foreign"),
    "text file": (b"hello\n", "damaged or foreign"),
    "twice in one file": (pickle.dumps(images(1), 4) * 2, "more bytes; is it several files in one?"),
    "stack": (b"\x80\x04..", "expected"),
    "memo": (b"\x80\x04h\x07.", "damaged or foreign"),
    "marks": (b"\x80\x04t.", "damaged or foreign"),
    "itself": (b"\x80\x04]\x94h\x00a.", "image 1: expected an array, got list"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_a_list_of_images_is_refused(name, tmp_path):
    value, message = WRONG[name]
    assert message in refused(written(tmp_path / "a.pklv4", value))


def test_missing_files_and_folders(tmp_path):
    assert "which does not exist or is not a file" in refused(tmp_path / "no.pklv4")
    assert "which does not exist or is not a file" in refused(tmp_path)


def test_a_file_that_shrinks_while_it_is_read(tmp_path):
    path = written(tmp_path / "a.pklv4", images(2))
    found = read_pklv4(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="became shorter"):
        list(found)


def test_every_truncation_is_refused(tmp_path):
    data = pickle.dumps(images(2), 4)
    for keep in range(len(data)):
        refused(written(tmp_path / "a.pklv4", data[:keep]))


def test_damage_is_refused_or_harmless(tmp_path):
    data = pickle.dumps(images(2), 4)
    for position in range(len(data)):
        for value in RNG.integers(0, 256, 8):
            broken = bytearray(data)
            broken[position] = value
            path = written(tmp_path / "a.pklv4", bytes(broken))
            try:
                out = list(read_pklv4(path))
            except InputError:
                refused(path)
            else:
                assert all(image.shape[2] == 3 and image.dtype == np.uint8 for image in out)


def declared(shape, data=b"\0" * 12):
    """A file with one array that claims a shape."""
    stream = io.BytesIO()

    class Array:
        def __reduce__(self):
            return (
                np.zeros(0, np.uint8).__reduce__()[0],
                (np.ndarray, (0,), b"b"),
                (1, shape, np.dtype("u1"), False, data),
            )

    pickle.dump([Array()], stream, 4)
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(2, 2, 3000), (3, 10**9, 10**9), (10**9, 10**9, 3), (2**500, 2**500, 3), (2, 1, 3)])
def test_a_shape_that_the_data_does_not_fill_is_refused(shape, tmp_path):
    message = refused(written(tmp_path / "a.pklv4", declared(shape)))
    assert ("got 12; the file is damaged" in message) or ("expected shape (H, W, 3)" in message)
    assert math.prod(shape) != 12


@pytest.mark.parametrize("shape", [(-2, -2, 3), (True, 4, 3), (2.0, 2, 3), ("2", 2, 3)])
def test_shapes_that_are_none(shape, tmp_path):
    assert "expected" in refused(written(tmp_path / "a.pklv4", declared(shape)))


@pytest.mark.parametrize("data", [[0] * 12, "\0" * 12, None])
def test_contents_that_are_no_bytes(data, tmp_path):
    assert "expected arrays as numpy writes them" in refused(written(tmp_path / "a.pklv4", declared((2, 2, 3), data)))


BOMBS = {
    "bytes8": b"\x80\x04\x8e" + struct.pack("<Q", 2**62),
    "bytes4": b"\x80\x04B\xff\xff\xff\xff",
    "text": b"\x80\x04X\xff\xff\xff\xff",
    "memo": b"\x80\x04Nr\xff\xff\xff\x7f.",
    "frame": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "long": b"\x80\x04\x8b\xff\xff\xff\x7f1.",
    "nested": b"\x80\x04" + b")" + b"\x85" * 200_000 + b".",
    "line": b"\x80\x04c" + b"a" * 100_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_declared_sizes_cost_nothing(name, tmp_path):
    assert "expected" in refused(written(tmp_path / "a.pklv4", BOMBS[name]))


def test_an_image_is_not_multiplied(tmp_path):
    (one,) = images(1)
    path = written(tmp_path / "a.pklv4", [*images(1), one, *images(1), one])
    assert "image 4: expected pixels of its own, got those of image 2 again" in refused(path)


def test_import_writes_numbered_images_of_all_files(tmp_path):
    first, second = images(3), images(2, (4, 4, 3))
    files = [written(tmp_path / "a.pklv4", first), written(tmp_path / "b.pklv4", second)]
    seen = []
    done = import_pklv4(files, tmp_path / "new" / "out", progress=lambda *args: seen.append(args))
    assert [path.name for path in done] == [f"00000{k}.png" for k in range(1, 6)]
    assert sorted((tmp_path / "new" / "out").iterdir()) == done
    assert seen == [(k, 5) for k in range(1, 6)]
    assert all(np.array_equal(read_image(path), image) for path, image in zip(done, first + second, strict=True))
    assert len(import_pklv4(files, tmp_path / "four", 4)) == 4
    assert len(import_pklv4(files, tmp_path / "two", 2)) == len(list((tmp_path / "two").iterdir())) == 2
    assert len(import_pklv4(files, tmp_path / "all", 99)) == 5


def test_import_goes_on_after_an_interruption(tmp_path):
    hr = images(4, (30, 30, 3))
    path = written(tmp_path / "a.pklv4", hr)
    out = tmp_path / "out"

    def interrupt(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_pklv4([path], out, progress=interrupt)
    assert len(list(out.iterdir())) == 3
    (out / "000002.png").write_bytes((out / "000002.png").read_bytes()[:-200])
    os.utime(out / "000001.png", (1, 1))
    import_pklv4([path], out)
    assert all(np.array_equal(read_image(out / f"{k:06d}.png"), image) for k, image in enumerate(hr, 1))
    assert (out / "000001.png").stat().st_mtime == 1  # whole: not written again


def test_import_never_overwrites_another_image(tmp_path):
    path = written(tmp_path / "a.pklv4", images(2))
    (other,) = images(1)
    write_png(tmp_path / "000001.png", other)
    with pytest.raises(InputError, match=r"expected .*000001.png to be missing or from the same import, got another"):
        import_pklv4([path], tmp_path)
    assert np.array_equal(read_image(tmp_path / "000001.png"), other)


def test_import_checks_every_file_before_it_writes(tmp_path):
    files = [written(tmp_path / "a.pklv4", images(2)), written(tmp_path / "b.pklv4", [1])]
    with pytest.raises(InputError, match=r"b.pklv4: image 1: expected an array, got int"):
        import_pklv4(files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_command_line(tmp_path, capsys):
    path = written(tmp_path / "a.pklv4", images(3))
    out = tmp_path / "out"
    assert main(["import-pklv4", str(path), "-o", str(out), "--limit", "2"]) == 0
    assert capsys.readouterr().out == f"{out}: 2 images, 000001.png to 000002.png\n"
    assert main(["import-pklv4", str(path), str(path), "-o", str(tmp_path / "six")]) == 0
    assert len(list((tmp_path / "six").iterdir())) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.pklv4", "-o", "out"], "expected a .pklv4 file, got nothing.pklv4, which does not exist"),
        (["EVIL", "-o", "out"], "system'; it was not run"),
        (["GOOD", "-o", "out", "--limit", "0"], "expected a limit >= 1, got 0"),
        (["GOOD", "-o", "GOOD"], "expected a folder for the images, got the file"),
        (["GOOD", "-o", "GOOD/below"], "below"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "GOOD", images(2))
    written(tmp_path / "EVIL", MALICIOUS["os.system"][0])
    assert main(["import-pklv4", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["import-pklv4", "--help"])
    out = capsys.readouterr().out
    assert "examples:" in out
    assert "runs code" in out
