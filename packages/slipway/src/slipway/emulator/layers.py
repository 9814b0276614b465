"""The layer of this machine: unpacked once, and led to by the layers of every account.

The emulator holds each version of a layer in memory, and unpacks it for each execution environment that it starts:
21 MB and a tenth of a second of its one interpreter. So an account gets a layer of one file, which adds the folder
of the packages to the path of the interpreter.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from slipway import paths
from slipway.errors import RehearsalError

LAYERS = paths.ROOT / "build" / "layers"
"""Where the layers lie, each in a folder named after its content."""
_ALWAYS = (1980, 1, 1, 0, 0, 0)


def pointer(layer: Path, folder: Path = LAYERS) -> Path:
    """Unpack a layer, where that has not been done, and make the layer that leads to it.

    Args:
        layer: zip of a Python layer.
        folder: where it is unpacked. Default: `build/layers`.

    Returns:
        The zip of the other one.

    Raises:
        RehearsalError: the layer is missing.
    """
    content = file_digest(layer)
    if content is None:
        raise RehearsalError(f"{layer} is missing; run `make build`")
    folder, name = folder.resolve(), content[:16]
    unpacked, zipped = folder / name, folder / f"{name}.zip"
    if unpacked.is_dir() and zipped.is_file():
        return zipped
    folder.mkdir(parents=True, exist_ok=True)
    if not unpacked.is_dir():
        # Whole or not at all: another run may be at it, and may read it as soon as it is there.
        staging = Path(tempfile.mkdtemp(dir=folder, prefix=".unpacking-"))
        try:
            with zipfile.ZipFile(layer) as packed:
                packed.extractall(staging)
            staging.chmod(0o755)
            try:
                staging.rename(unpacked)
            except OSError:
                if not unpacked.is_dir():
                    raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    # `site` runs the lines of such a file that begin with `import`. In front of all else, as the packages of a layer
    # are found on Lambda: this machine's own must not stand in for one that the layer lacks.
    site = f"python/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    line = f"import sys; sys.path.insert(0, {str(unpacked / 'python')!r})\n"
    staging = Path(tempfile.mkdtemp(dir=folder, prefix=".zipping-"))
    try:
        with zipfile.ZipFile(staging / zipped.name, "w") as packed:
            packed.writestr(zipfile.ZipInfo(f"{site}/slipway.pth", _ALWAYS), line)
        (staging / zipped.name).replace(zipped)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return zipped


def file_digest(file: Path) -> str | None:
    """SHA-256 of a file, hexadecimal; None where there is no such file."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return None
