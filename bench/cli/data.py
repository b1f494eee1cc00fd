"""python -m bench data: the data sets."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench.cli.progress import DownloadBar
from bench.cli.terminal import tracked
from bench.datasets.acquire import fetch
from bench.datasets.importing import Imported, image_files, import_files
from bench.datasets.local import (
    digest_record,
    how_to_get,
    pixel_digest,
    presence,
    read_hr,
    recorded_digests,
    require_data_root,
)
from bench.datasets.manifest import Manifest, load_manifest, manifest_names
from bench.errors import BenchError
from bench.roots import data_root
from hcflow.cli.entry import subparser
from hcflow.images.io import ImageError, read_opaque

_DESCRIPTION = """\
The data sets live in $HCFLOW_DATA/<set>/HR/*.png (else in the user cache); their manifests in datasets/ list
the images with the digests of their pixels, the licence and the terms of use.
"""
_SHOWN = 10  # refused files; CelebA's originals are 5,000
_EXAMPLES = """\
examples:
  python -m bench data list
  python -m bench data show Set5
  python -m bench data fetch Set5 Set14 BSD100
  python -m bench data import BSD100 ~/Downloads/B100     whatever its files are called
  python -m bench data verify                             compare every pixel with the manifests
  python -m bench data manifest FOLDER                    the images of a folder, as a manifest lists them
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `data list | show | verify | import | fetch | manifest`."""
    parser = subparser(commands, "data", "list, show, verify, import and fetch data sets", _EXAMPLES, _DESCRIPTION)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = subparser(actions, "list", "what is present, partial, missing, one set a line")
    listing.set_defaults(run=_list)
    showing = subparser(actions, "show", "details of data sets: licence, terms, how to get them")
    showing.add_argument("names", nargs="+", metavar="NAME", help="as `list` shows them")
    showing.set_defaults(run=_show)
    for command in (listing, showing):
        command.add_argument("--format", choices=["text", "json"], default="text", help="(default: text)")
    verify = subparser(actions, "verify", "compare every image with the manifest")
    verify.add_argument("names", nargs="*", metavar="NAME", help="(default: every set that is present)")
    verify.set_defaults(run=_verify)
    importing = subparser(actions, "import", "import the images of a folder, whatever the files are called")
    importing.add_argument("name", metavar="NAME", help="as `list` shows it")
    importing.add_argument("folder", type=Path, metavar="FOLDER", help="images in it and below it")
    importing.set_defaults(run=_import)
    fetching = subparser(actions, "fetch", "download what is missing")
    fetching.add_argument("names", nargs="+", metavar="NAME", help="as `list` shows them")
    fetching.add_argument("--offline", action="store_true", help="refuse to use the network (also HCFLOW_OFFLINE=1)")
    fetching.set_defaults(run=_fetch)
    manifest = subparser(actions, "manifest", "print the images of a folder as a manifest lists them")
    manifest.add_argument("folder", type=Path, metavar="FOLDER", help="images in it and below it")
    manifest.set_defaults(run=_manifest)


def _list(args: argparse.Namespace) -> int:
    from rich.markup import escape

    from bench.cli.terminal import console, grid, one_line_each

    rows = [_describe(load_manifest(name)) for name in manifest_names()]
    if args.format == "json":
        print(json.dumps(rows, indent=1))
        return 0
    absent = "" if data_root().is_dir() else ", which does not exist"
    table = grid("set", "state", "images", "to get it", title=f"in {data_root()}{absent}")
    for row in rows:
        style = {"present": "green", "partial": "yellow", "missing": "red"}[str(row["state"])]
        name, state, get = (escape(str(row[key])) for key in ("name", "state", "get"))
        table.add_row(name, f"[{style}]{state}[/]", f"{row['present']}/{row['images']}", get)
    out = console()
    out.print(one_line_each(table))
    out.print("Licences, terms and sources: python -m bench data show NAME")
    return 0


def _show(args: argparse.Namespace) -> int:
    rows = [_describe(load_manifest(name)) for name in args.names]
    if args.format == "json":
        print(json.dumps(rows, indent=1))
        return 0
    for row in rows:
        print(row["name"])
        for key, value in row.items():
            if value and key != "name":
                print(f"  {_LABELS.get(key, key)}: {value}")
    return 0


_LABELS = {"pixels": "all pixel digests known", "get": "to get it"}


def _describe(manifest: Manifest) -> dict[str, object]:
    here = presence(manifest)
    if manifest.verified:
        pixels = "yes"
    else:
        recorded = len(recorded_digests(manifest))
        known = "names and sizes" if all(entry.width for entry in manifest.images) else "names"
        pixels = f"no: {known} only{f'; {recorded} recorded at import' if recorded else ''}"
    return {
        "name": manifest.name,
        "title": manifest.title,
        "images": len(manifest.images),
        "present": len(here.present),
        "state": here.state,
        "pixels": pixels,
        "licence": manifest.licence,
        "terms": manifest.terms,
        "get": "" if here.state == "present" else how_to_get(manifest),
    }


def _verify(args: argparse.Namespace) -> int:
    require_data_root()
    names = args.names or [n for n in manifest_names() if presence(load_manifest(n)).state != "missing"]
    manifests = [load_manifest(name) for name in names]
    bad = 0
    for manifest in manifests:
        here = presence(manifest)
        wrong = []
        for entry in tracked(here.present, manifest.name):
            try:
                read_hr(manifest, entry)
            except (BenchError, ImageError) as error:
                wrong.append(f"{manifest.name}/{entry.id}: {error}")
        for message in wrong:
            print(f"error: {message}", file=sys.stderr)
        recorded = recorded_digests(manifest)
        unknown = sum(entry.sha256 is None and entry.id not in recorded for entry in here.present)
        note = f", {unknown} of them by name only (no digests known)" if unknown else ""
        missing = f", {len(here.missing)} missing: {how_to_get(manifest)}" if here.missing else ""
        print(f"{manifest.name}: {len(here.present) - len(wrong)} of {len(manifest.images)} verified{note}{missing}")
        bad += len(wrong) + len(here.missing)
    return 2 if bad else 0


def _import(args: argparse.Namespace) -> int:
    manifest = load_manifest(args.name)
    files = image_files(args.folder)
    result = import_files(manifest, tracked(files, manifest.name))
    for message in result.refused[:_SHOWN]:
        print(f"error: {message}", file=sys.stderr)
    if len(result.refused) > _SHOWN:
        print(f"error: and {len(result.refused) - _SHOWN} more files like these", file=sys.stderr)
    if not (result.stored or result.already or result.refused):
        raise BenchError(f"{args.folder}: expected images of {manifest.name}, got {len(files)} other images")
    _report(manifest, result)
    return 2 if result.refused else 0


def _fetch(args: argparse.Namespace) -> int:
    manifests = [load_manifest(name) for name in args.names]
    failed = 0
    for manifest in manifests:
        try:
            print(f"{manifest.name}: {manifest.title}\n  licence: {manifest.licence}; terms: {manifest.terms}")
            with DownloadBar() as bar:
                result = fetch(manifest, bar, args.offline)
            _report(manifest, result)
        except BenchError as error:
            print(f"error: {error}", file=sys.stderr)
            failed += 1
    return 2 if failed else 0


def _report(manifest: Manifest, result: Imported) -> None:
    parts = [f"{len(result.stored)} stored", f"{len(result.already)} already there"]
    if result.missing:
        shown = ", ".join(result.missing[:5]) + (" and so on" if len(result.missing) > 5 else "")
        parts.append(f"{len(result.missing)} still missing ({shown})")
    recorded = bool(result.stored) and not manifest.verified
    note = f"; no digests are known for this set: recorded in {digest_record(manifest).path}" if recorded else ""
    print(f"{manifest.name}: {', '.join(parts)} in {data_root() / manifest.name}{note}")


def _manifest(args: argparse.Namespace) -> int:
    print("images = [")
    for path in image_files(args.folder):
        image = read_opaque(path)
        grey = ", channels = 1" if image.ndim == 2 else ""
        size = f"width = {image.shape[1]}, height = {image.shape[0]}"
        print(f'    {{ file = {json.dumps(path.stem + ".png")}, {size}{grey}, sha256 = "{pixel_digest(image)}" }},')
    print("]")
    return 0
