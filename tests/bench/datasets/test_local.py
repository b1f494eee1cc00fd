"""Manifests and the images they describe: what is accepted as an image of a set, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.__main__ import main
from bench.datasets import importing, manifest
from bench.datasets import local as data
from bench.datasets.importing import image_files, import_files
from bench.datasets.local import pixel_digest, presence, read_hr, recorded_digests
from bench.datasets.manifest import ImageEntry, Manifest, Source, load_manifest, manifest_names
from bench.errors import BenchError
from hcflow.images.io import ImageError, Pixels, write_png

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (16, 12), dtype=np.uint8)
LARGE = RNG.integers(0, 256, (33, 49, 3), dtype=np.uint8)


def toy(**changes: object) -> Manifest:
    """A data set of a colour and a grey image."""
    entries = (
        ImageEntry("baby.png", 24, 20, sha256=pixel_digest(COLOUR), alias="img_001"),
        ImageEntry("bridge.png", 12, 16, channels=1, sha256=pixel_digest(GREY)),
    )
    fields = {"name": "Toy", "title": "t", "licence": "l", "terms": "t", "images": entries, "sources": ()}
    return Manifest(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path / "root"))
    return tmp_path / "root"


def put(folder: Path, **images: Pixels) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        write_png(folder / f"{name}.png", image)
    return folder


# ---------------------------------------------------------------- manifests


def test_the_sets_of_the_paper_are_there() -> None:
    counts = {name: len(load_manifest(name).images) for name in manifest_names()}
    assert counts == {
        "Set5": 5, "Set14": 14, "BSD100": 100, "Urban100": 100, "DIV2K": 100, "CelebA": 5000, "T91": 91,
        "BSDS400": 400, "CelebA160_HCFlow": 6, "Sample": 3,
    }  # fmt: skip


@pytest.mark.parametrize("name", manifest_names())
def test_manifests_are_sound(name: str) -> None:
    loaded = load_manifest(name)
    assert loaded.licence
    assert loaded.terms
    assert loaded.sources
    assert loaded.verified == (name not in ("Urban100", "DIV2K", "CelebA"))
    digests = [entry.sha256 for entry in loaded.images if entry.sha256]
    twins = 1 if name == "T91" else 0  # two of its images are the same
    assert len(set(digests)) == len(digests) - twins
    for entry in loaded.images:
        assert entry.channels in (1, 3)
        assert entry.sha256 is None or re.fullmatch("[0-9a-f]{64}", entry.sha256)
        assert loaded.verified <= bool(entry.width and entry.height)
    for source in loaded.sources:
        assert source.kind in ("files", "archive", "package", "manual")
        assert all(url.startswith(("https://", "http://")) for url in source.urls)
        assert bool(source.urls) == (source.kind in ("files", "archive"))
        for url in source.urls:
            assert url.format(id="x", alias="y")


def test_only_bridge_is_grey_in_set14() -> None:
    assert [entry.id for entry in load_manifest("Set14").images if entry.channels == 1] == ["bridge"]


def test_bsd100_has_the_numbers_of_the_other_copies() -> None:
    images = load_manifest("BSD100").images
    assert {entry.alias for entry in images} == {f"img_{i:03d}" for i in range(1, 101)}
    assert {(entry.width, entry.height) for entry in images} == {(480, 320), (320, 480)}


def test_an_unknown_set_lists_the_choices() -> None:
    with pytest.raises(BenchError, match=r"expected a data set of BSD100, .*; got 'urban100'; did you mean Urban100\?"):
        load_manifest("urban100")


def test_a_mistake_in_a_manifest_is_an_error_that_helps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Bad.toml").write_text('title = "t"\nlicense = "l"\n')
    monkeypatch.setattr(manifest, "_folder", lambda: tmp_path)
    message = r"datasets/Bad.toml: unknown key 'license'; did you mean licence\? choose from name, title, licence"
    with pytest.raises(BenchError, match=message):
        load_manifest("Bad")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("title = ", "expected valid TOML, got an error: Invalid value"),
        ("images = [{ file = '../x.png' }]", "expected a plain file name for each image"),
        ("images = [{ file = 'C:\\x.png' }]", "expected a plain file name for each image"),
        (
            "images = [{ file = 'x.png', width = '9' }]",
            "datasets/Bad.toml.images[0].width: expected int or null, got '9'",
        ),
        ("images = [{ file = 'x.png', height = 0 }]", "expected whole numbers of pixels for each image"),
        ("images = [{ file = 'x.png', channels = 4 }]", "expected 1 or 3 channels for each image"),
        ("images = [{ file = 'x.png', sha256 = 'abc' }]", "expected 64 hexadecimal digits for each image"),
        ("images = [{ file = 'x.png' }, { file = 'x.bmp' }]", "expected every image once, got one twice"),
        ("images = [{ file = 'x.png' }, { file = 'X.png' }]", "expected every image once, got one twice"),
        ("images = 3", "datasets/Bad.toml.images: expected a list, got 3"),
        ("images = [3]", "datasets/Bad.toml.images[0]: expected an object, got int"),
        ("cropped = 1", "datasets/Bad.toml.cropped: expected bool, got 1"),
        ("name = '../../evil'", "expected the file's own name as the set's, got '../../evil'"),
        *[
            (f"images = [{{ file = {json.dumps(name)} }}]", "expected a plain file name for each image")
            for name in ("../../evil", "..", ".", "", ".png", "a/b.png", "/x.png", "a\0.png", "a\n.png", "x" * 300)
        ],
        ("sources = [{ kind = 'torrent' }]", "sources[0].kind: got 'torrent'; choose from files, archive"),
        ("sources = [{ kind = 'files', urls = ['file:///etc'] }]", "expected http or https addresses for each source"),
        ("sources = [{ kind = 'archive' }]", "expected an address for each source"),
        *[
            (
                f"sources = [{{ kind = 'files', urls = ['https://h/{field}'] }}]",
                "expected no fields but {id} and {alias}",
            )
            for field in ("{0}", "{x}", "{id.__class__}", "{id!r}", "{id:9999999999}", "{", "{id", "}", "{}")
        ],
        ("sources = [{ kind = 'package', package = 'a.b', member = '../..' }]", "expected a folder inside the package"),
        ("sources = [{ kind = 'package', package = '/etc', member = 'x' }]", "expected the name of a package"),
    ],
)
def test_a_manifest_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, message: str) -> None:
    (tmp_path / "Bad.toml").write_text(f"title = 't'\nlicence = 'l'\nterms = 't'\n{line}\n")
    monkeypatch.setattr(manifest, "_folder", lambda: tmp_path)
    load_manifest.cache_clear()
    with pytest.raises(BenchError) as error:
        load_manifest("Bad")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_digest_covers_what_can_change_a_number_and_no_more() -> None:
    assert toy(title="other").digest == toy().digest
    assert toy(images=toy().images[:1]).digest != toy().digest


# ---------------------------------------------------------------- reading


def test_sample_needs_no_file(root: Path) -> None:
    for entry in load_manifest("Sample").images:
        assert pixel_digest(read_hr(load_manifest("Sample"), entry)) == entry.sha256
    assert not root.exists()


def test_presence(root: Path) -> None:
    assert presence(toy()).state == "missing"
    put(root / "Toy/HR", baby=COLOUR)
    assert presence(toy()).state == "partial"
    put(root / "Toy/HR", bridge=GREY)
    assert presence(toy()).state == "present"


def test_images_are_read_in_their_own_channels(root: Path) -> None:
    put(root / "Toy/HR", baby=COLOUR, bridge=np.repeat(GREY[:, :, None], 3, axis=2))
    colour, grey = (read_hr(toy(), entry) for entry in toy().images)
    np.testing.assert_array_equal(colour, COLOUR)
    np.testing.assert_array_equal(grey, GREY)  # stored as RGB, but the manifest says grey


def test_another_image_is_refused_with_what_was_expected(root: Path) -> None:
    put(root / "Toy/HR", baby=255 - COLOUR, bridge=GREY[:-1])
    baby, bridge = toy().images
    with pytest.raises(BenchError, match=r"baby.png: expected pixels with SHA-256 .{12}, got .{12}: another image"):
        read_hr(toy(), baby)
    with pytest.raises(BenchError, match=r"bridge.png: expected 12x16 pixels, got 12x15"):
        read_hr(toy(), bridge)


def test_colour_where_grey_is_expected_is_refused() -> None:
    entry = ImageEntry("bridge.png", channels=1)
    with pytest.raises(BenchError, match="expected a grey image, got colour"):
        data.recognise(toy(), entry, COLOUR, None)


def test_a_damaged_file_is_named(root: Path) -> None:
    put(root / "Toy/HR", baby=COLOUR)
    path = root / "Toy/HR/baby.png"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ImageError, match=r"baby.png: expected a readable image, got a damaged one"):
        read_hr(toy(), toy().images[0])


def test_two_files_of_one_name_are_refused(root: Path) -> None:
    put(root / "Toy/HR", baby=COLOUR)
    shutil.copy(root / "Toy/HR/baby.png", root / "Toy/HR/baby.webp")
    with pytest.raises(BenchError, match=r"expected one file of this name, got also baby\.\w+; remove one"):
        read_hr(toy(), toy().images[0])


@pytest.mark.parametrize("suffix", [".PNG", ".JPG", ".bmp"])
def test_a_file_may_have_any_suffix_that_can_be_read(root: Path, suffix: str) -> None:
    flat = np.full((20, 24, 3), 128, np.uint8)  # JPEG keeps it
    (root / "Toy/HR").mkdir(parents=True)
    Image.fromarray(flat).save(root / f"Toy/HR/baby{suffix}")
    entry = ImageEntry("baby.png", 24, 20, sha256=pixel_digest(flat))
    assert presence(toy(images=(entry,))).state == "present"
    np.testing.assert_array_equal(read_hr(toy(images=(entry,)), entry), flat)


def test_a_larger_copy_gives_the_part_that_the_benchmark_uses(root: Path) -> None:
    entry = ImageEntry("a.png", 48, 32, sha256=pixel_digest(LARGE[:32, :48]))
    cropped = toy(images=(entry,), cropped=True)
    for stored in (LARGE, LARGE[:32, :48]):
        put(root / "Toy/HR", a=stored)
        np.testing.assert_array_equal(read_hr(cropped, entry), LARGE[:32, :48])
    put(root / "Toy/HR", a=LARGE)
    with pytest.raises(BenchError, match="expected 48x32 pixels, got 49x33"):
        read_hr(toy(images=(entry,)), entry)


# ---------------------------------------------------------------- importing


def test_import_finds_images_by_their_pixels(root: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "downloads/deep/er", whatever=COLOUR, other=255 - COLOUR)
    Image.fromarray(np.repeat(GREY[:, :, None], 3, axis=2)).save(folder / "b.BMP")
    (folder / "notes.txt").write_text("no image")
    (folder / "broken.png").write_bytes(b"no image either")
    result = import_files(toy(), image_files(tmp_path / "downloads"))
    assert sorted(result.stored) == ["baby", "bridge"]
    assert (result.refused, result.missing) == ([], [])
    assert sorted(path.name for path in (root / "Toy/HR").iterdir()) == ["baby.png", "bridge.png"]
    np.testing.assert_array_equal(read_hr(toy(), toy().images[1]), GREY)
    again = import_files(toy(), image_files(tmp_path / "downloads"))
    assert (again.stored, sorted(again.already)) == ([], ["baby", "bridge"])


def test_import_never_stores_a_wrong_image(root: Path, tmp_path: Path) -> None:
    folder = put(tmp_path / "downloads", baby_HR=255 - COLOUR, img_001=COLOUR[:-1], bridge_LR=GREY)
    result = import_files(toy(), image_files(folder))
    assert result.stored == ["bridge"]  # its pixels are right, whatever it is called
    assert len(result.refused) == 2
    assert "baby_HR.png: expected pixels with SHA-256" in result.refused[0]
    assert "img_001.png: expected 24x20 pixels, got 24x19" in result.refused[1]
    assert result.missing == ["baby"]


def test_import_mends_a_wrong_image_in_the_root(root: Path, tmp_path: Path) -> None:
    put(root / "Toy/HR", baby=255 - COLOUR)
    result = import_files(toy(), image_files(put(tmp_path / "downloads", x=COLOUR)))
    assert result.stored == ["baby"]
    np.testing.assert_array_equal(read_hr(toy(), toy().images[0]), COLOUR)


def test_one_file_serves_two_equal_images(root: Path, tmp_path: Path) -> None:
    twins = tuple(ImageEntry(name, 24, 20, sha256=pixel_digest(COLOUR)) for name in ("t1.png", "t2.png"))
    result = import_files(toy(images=twins), image_files(put(tmp_path / "d", t1=COLOUR)))
    assert (result.stored, result.missing) == (["t1", "t2"], [])


def test_both_forms_of_bsd_import_to_the_same_set(root: Path, tmp_path: Path) -> None:
    entry = ImageEntry("101085.png", 48, 32, sha256=pixel_digest(LARGE[:32, :48]), alias="img_001")
    cropped = toy(images=(entry,), cropped=True)
    stored = []
    for name, image in (("101085", LARGE), ("img_001_SRF_4_HR", LARGE[:32, :48]), ("renamed", LARGE)):
        result = import_files(cropped, image_files(put(tmp_path / name, **{name: image})))
        assert result.stored == ["101085"]
        stored.append((root / "Toy/HR/101085.png").read_bytes())
        (root / "Toy/HR/101085.png").unlink()
    assert stored[0] == stored[1] == stored[2]


def test_without_digests_names_decide_and_pixels_are_recorded(root: Path, tmp_path: Path) -> None:
    unknown = toy(images=(ImageEntry("img_001.png"), ImageEntry("img_002.png")))
    folder = put(tmp_path / "d", img_001_SRF_4_HR=COLOUR, img_001_SRF_4_LR=COLOUR[::4, ::4], img_003=COLOUR)
    result = import_files(unknown, image_files(folder))
    assert (result.stored, result.missing) == (["img_001"], ["img_002"])
    assert recorded_digests(unknown) == {"img_001": pixel_digest(COLOUR)}
    put(root / "Toy/HR", img_001=255 - COLOUR)
    with pytest.raises(BenchError, match="expected pixels with SHA-256"):
        read_hr(unknown, unknown.images[0])


def test_two_files_that_claim_to_be_one_image_are_refused_and_the_rest_is_stored(root: Path, tmp_path: Path) -> None:
    unknown = toy(images=(ImageEntry("img_001.png"), ImageEntry("img_002.png")))
    put(tmp_path / "d/one", img_001=COLOUR, img_002=COLOUR)
    put(tmp_path / "d/two", img_001=255 - COLOUR)
    result = import_files(unknown, image_files(tmp_path / "d"))
    assert (result.stored, result.missing) == (["img_002"], ["img_001"])
    assert re.search(
        r"one/img_001.png: expected one image for img_001, got also .*two/img_001.png, which", result.refused[0]
    )
    assert list(recorded_digests(unknown)) == ["img_002"]
    assert not (root / "Toy/HR/img_001.png").exists()


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("order", ["before", "zzz"])
def test_of_one_name_the_hr_image_is_taken_and_its_lr_copies_are_not(
    root: Path, tmp_path: Path, scale: int, order: str
) -> None:
    unknown = toy(images=(ImageEntry("0801.png"),))
    put(tmp_path / "d/main", **{"0801": LARGE})
    put(tmp_path / f"d/{order}/LRbicx{scale}", **{"0801": LARGE[::scale, ::scale], "0801x4": LARGE[::4, ::4]})
    result = import_files(unknown, image_files(tmp_path / "d"))
    assert (result.stored, result.refused) == (["0801"], [])
    np.testing.assert_array_equal(read_hr(unknown, unknown.images[0]), LARGE)


def test_the_half_size_copy_of_urban100_is_not_taken_for_it(root: Path, tmp_path: Path) -> None:
    unknown = toy(images=(ImageEntry("img_001.png"), ImageEntry("img_002.png")))
    folder = put(tmp_path / "d", img_001_SRF_2_HR=COLOUR, img_002_SRF_2_HR=COLOUR, img_002_SRF_4_HR=LARGE)
    result = import_files(unknown, image_files(folder))
    assert (result.stored, result.missing) == (["img_002"], ["img_001"])
    np.testing.assert_array_equal(read_hr(unknown, unknown.images[1]), LARGE)


def test_what_was_refused_is_of_no_interest_once_the_right_file_was_found(root: Path, tmp_path: Path) -> None:
    put(tmp_path / "d/LR", baby=COLOUR[::2, ::2])
    put(tmp_path / "d/original", baby=COLOUR, bridge=GREY)
    result = import_files(toy(), image_files(tmp_path / "d"))
    assert (result.stored, result.refused) == (["baby", "bridge"], [])


def test_another_file_in_the_way_is_not_lost(root: Path, tmp_path: Path) -> None:
    put(root / "Toy/HR", baby=255 - COLOUR)
    (root / "Toy/HR/baby.png").rename(root / "Toy/HR/baby.webp")
    result = import_files(toy(), image_files(put(tmp_path / "d", x=COLOUR, y=GREY)))
    assert (result.stored, result.missing) == (["bridge"], ["baby"])
    assert re.search(r"baby.webp: expected no other file of this image.* move it away", result.refused[0])
    assert (root / "Toy/HR/baby.webp").is_file()


def test_an_import_that_was_killed_goes_on(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = toy(images=tuple(ImageEntry(f"{i}.png") for i in range(4)))
    folder = put(tmp_path / "d", **{str(i): RNG.integers(0, 256, (8, 8), dtype=np.uint8) for i in range(4)})

    class Killed(BaseException):
        pass

    def store_two(*arguments: object) -> None:
        if len(list((root / "Toy/HR").glob("*.png")) if (root / "Toy/HR").exists() else []) == 2:
            raise Killed
        store(*arguments)

    store = importing.store_image
    monkeypatch.setattr(importing, "store_image", store_two)
    with pytest.raises(Killed):
        import_files(unknown, image_files(folder))
    monkeypatch.undo()
    monkeypatch.setenv("HCFLOW_DATA", str(root))
    result = import_files(unknown, image_files(folder))
    assert (result.already, result.stored, result.missing) == (["0", "1"], ["2", "3"], [])
    assert len(recorded_digests(unknown)) == 4


def test_many_images_are_imported_in_linear_time(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CelebA has 5,000: none may be read, and no digests written, once per other image."""
    unknown = toy(images=tuple(ImageEntry(f"{i}.png") for i in range(40)))
    folder = put(tmp_path / "d", **{str(i): COLOUR for i in range(60)})
    calls = {"read": 0, "write": 0}

    def counted(name: str, function: object) -> object:
        def call(*arguments: object) -> object:
            calls[name] += 1
            return function(*arguments)  # type: ignore[operator]

        return call

    monkeypatch.setattr(importing, "read_opaque", counted("read", importing.read_opaque))
    monkeypatch.setattr(importing, "record_digests", counted("write", importing.record_digests))
    assert len(import_files(unknown, image_files(folder)).stored) == 40
    assert calls == {"read": 80, "write": 1}  # the twenty others were not even opened


def test_a_root_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HCFLOW_DATA", str(tmp_path / "file"))
    with pytest.raises(BenchError, match=r"expected a place to write to, got Not a directory"):
        import_files(toy(), image_files(put(tmp_path / "d", x=COLOUR)))


def test_a_set_that_comes_with_a_package_is_not_imported(tmp_path: Path) -> None:
    packaged = toy(sources=(Source("package", package="skimage"),))
    with pytest.raises(BenchError, match="expected a set to import, got one that comes with skimage"):
        import_files(packaged, [])


# ---------------------------------------------------------------- command line


def test_list_verify_and_import_on_the_command_line(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.cli.data.load_manifest", lambda name: toy())
    monkeypatch.setattr("bench.cli.data.manifest_names", lambda: ["Toy"])
    assert main(["data", "list"]) == 0
    assert "missing" in capsys.readouterr().out
    assert main(["data", "import", "Toy", str(tmp_path / "nowhere")]) == 2
    assert "expected a folder of images, got" in capsys.readouterr().err
    folder = put(tmp_path / "d", baby=COLOUR)
    assert main(["data", "import", "Toy", str(folder)]) == 0
    assert "1 stored, 0 already there, 1 still missing (bridge)" in capsys.readouterr().out
    assert main(["data", "verify"]) == 2
    assert "Toy: 1 of 2 verified, 1 missing" in capsys.readouterr().out
    put(folder, bridge=GREY)
    assert main(["data", "import", "Toy", str(folder)]) == 0
    assert main(["data", "verify", "Toy"]) == 0
    put(root / "Toy/HR", baby=255 - COLOUR)
    assert main(["data", "verify"]) == 2
    assert "error: Toy/baby: " in capsys.readouterr().err
    assert main(["data", "list", "--format", "json"]) == 0
    assert '"state": "present"' in capsys.readouterr().out
    assert main(["data", "import", "Toy", str(put(tmp_path / "e", x=GREY[::-1]))]) == 0
    assert main(["data", "manifest", str(folder)]) == 0
    assert f'sha256 = "{pixel_digest(GREY)}"' in capsys.readouterr().out


def test_thousands_of_refused_files_are_a_few_lines(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = toy(images=tuple(ImageEntry(f"{i}.png", 160, 160) for i in range(30)))
    monkeypatch.setattr("bench.cli.data.load_manifest", lambda name: faces)
    folder = put(tmp_path / "d", **{str(i): COLOUR for i in range(30)})
    assert main(["data", "import", "Toy", str(folder)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 11
    assert "expected 160x160 pixels, got 24x20" in errors[0]
    assert errors[-1] == "error: and 20 more files like these"
    assert main(["data", "import", "Toy", str(put(tmp_path / "e", other=COLOUR))]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif("HCFLOW_DATA" not in os.environ, reason="needs HCFLOW_DATA with the real sets")
@pytest.mark.parametrize("name", ["Set5", "Set14", "BSD100", "CelebA160_HCFlow", "T91", "BSDS400"])
def test_the_real_sets_are_what_the_manifests_say(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "verify", name]) == 0
    count = len(load_manifest(name).images)
    assert f"{name}: {count} of {count} verified" in capsys.readouterr().out
