"""This machine's layer: unpacked once, and shared by the layers of all accounts.

The emulator keeps each version of a layer in memory, and unpacks it for each execution environment: 21 MB, and a tenth
of a second of its only interpreter. So an account gets a layer with a single file, which adds the folder of the
packages to the interpreter's path.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

from slipway import project
from slipway.errors import RehearsalError

LAYERS = project.ROOT / "build" / "layers"
"""Folder of the layers, each in a folder named by a digest of its content."""
_ALWAYS = (1980, 1, 1, 0, 0, 0)


def pointer(layer: Path, folder: Path = LAYERS) -> Path:
    """Unpack a layer unless that has been done, and create the layer that points to it.

    Args:
        layer: Zip of a Python layer.
        folder: Folder to unpack it into. Default: `build/layers`.

    Returns:
        The zip of the layer that points to the unpacked one.

    Raises:
        RehearsalError: The layer is missing.
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
        # Atomically: another run may be doing the same, and may read the folder as soon as it exists.
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
    # `site` runs the lines of such a file that begin with `import`. The packages come first in the path, as on Lambda:
    # this machine's own must not replace one that the layer lacks.
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
    """Return the SHA-256 of a file, hexadecimal; None if it does not exist."""
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        return None
