"""List the files that the server may send: the page, LiteRT.js and one model, and nothing else."""

from __future__ import annotations

from pathlib import Path

from visualcnn_tf.errors import MissingExtraError

PAGE = Path(__file__).parent / "page"
#: The release of LiteRT.js that the page is tested with.
LITERT = "2.5.3"
_SCRIPTS = ("@litertjs/core/dist/index.js", "@litertjs/wasm-utils/dist/index.js")
_WASM = "@litertjs/core/wasm"

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".tflite": "application/octet-stream",
    ".wasm": "application/wasm",
}


def routes(model: Path, modules: Path) -> dict[str, Path]:
    """Return the file behind each path of the site's addresses.

    Args:
        model: The TensorFlow Lite file.
        modules: The folder ``node_modules`` that holds LiteRT.js.

    Raises:
        MissingExtraError: If LiteRT.js is not in ``modules``.
    """
    page = {f"/{path.name}": path for path in PAGE.iterdir() if path.suffix in CONTENT_TYPES}
    npm = {f"/npm/{path.relative_to(modules).as_posix()}": path for path in _litert(modules)}
    return {**page, **npm, "/": PAGE / "index.html", "/model.tflite": model}


def _litert(modules: Path) -> list[Path]:
    """Return the files of LiteRT.js."""
    scripts = [modules / name for name in _SCRIPTS]
    wasm = sorted(path for path in (modules / _WASM).glob("*") if path.suffix in (".js", ".wasm"))
    if not wasm or not all(path.is_file() for path in scripts):
        raise MissingExtraError(
            f"LiteRT.js, which runs the model in the browser, is not in `{modules}`. Install it with: "
            f"npm install --prefix . @litertjs/core@{LITERT}, or pass the folder node_modules as `--modules`."
        )
    return [*scripts, *wasm]
