"""What MkDocs needs beside the pages of this folder: the documents of the root, and links that lead out of the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
#: Pages of the site that are files of the root, where GitHub and package indexes look for them.
FROM_ROOT = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
LINK = re.compile(r"(?<!!)\[([^]]+)\]\(((?!https?:|#)[^)]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the documents of the root."""
    for page, source in FROM_ROOT.items():
        text = (ROOT / source).read_text().replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Names the files of the repository that are not on the site, in place of links to them."""
    pages = {source: name for name, source in FROM_ROOT.items()}

    def replaced(match: re.Match[str]) -> str:
        text, target = match.groups()
        file, mark, anchor = pages.get(target.removeprefix("../"), target).partition("#")
        if files.get_file_from_path(file) is not None:
            return f"[{text}]({file}{mark}{anchor})"
        path = target.removeprefix("../")
        if not (ROOT / path).exists():
            return match[0]  # a broken link: MkDocs says so
        return text if path in text else f"{text} (`{path}` in the repository)"

    return LINK.sub(replaced, markdown)
