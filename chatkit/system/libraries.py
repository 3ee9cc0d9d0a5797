"""The system's loader: why a compiled library cannot be loaded here, in words, and the way out.

In: what an import raised, or how a child that loads one ended. Out: a SetupError that names the library, the rule and
the way out. Windows says its reasons in the user's language, so there the loader is asked again for its number.

Numbers: https://learn.microsoft.com/windows/win32/debug/system-error-codes, and ntstatus.h for how a process ended.
"""

import ctypes
import importlib.util
import platform
import re
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatkit.exceptions import ChatkitError, SetupError

NEEDED = {
    "xllamacpp": ("MSVCP140.dll", "VCOMP140.dll", "VCRUNTIME140.dll", "VCRUNTIME140_1.dll"),
    "ctranslate2": ("MSVCP140.dll", "VCRUNTIME140.dll"),
    "onnxruntime": ("MSVCP140.dll", "MSVCP140_1.dll", "VCRUNTIME140.dll"),
}
"""What the engines' wheels need of Windows' Visual C++ runtime and do not bring."""
AGAIN = "Then restart the kernel."
HOSTED = "Or set OPENAI_API_KEY to use the hosted API."
LONGEST = 300
"""Characters of a loader's words that are quoted."""
_WORDS = {
    "architecture": r"incompatible architecture|wrong ELF class|invalid ELF header|not a valid Win32 application|exec format",
    "glibc": r"version `GLIBC_([\d.]+)' not found",
    "old_system": r"version `(?:GLIBCXX|CXXABI)_[\d.]+' not found|built for macOS|Symbol not found.*/usr/lib/",
    "openmp": r"OMP: Error #15|multiple copies of the OpenMP runtime",
    "refused": r"code signature|Application Control|blocked by group policy|virus|not permitted|executable stack|failed to map",
    "missing": r"module could not be found|Could not find module|([\w.+-]+\.so[\w.]*): cannot open shared object|Library not loaded: (\S+)",
    "runtime": r"procedure could not be found|initialization routine failed",
    "memory": r"[Cc]annot allocate memory|bad_alloc|MemoryError|[Pp]aging file is too small",
}  # fmt: skip
"""What loaders say (glibc's, macOS', Windows' in English), by the rule that it is a case of."""
_NUMBERS = {
    126: "missing", 127: "runtime", 1114: "runtime", 193: "architecture", 216: "architecture", 5: "refused",
    225: "refused", 577: "refused", 1260: "refused", 4551: "refused", 8: "memory", 14: "memory", 1455: "memory",
}  # fmt: skip
"""Windows' numbers of errors."""
_ENDS = {
    0xC0000135: "missing", 0xC0000139: "runtime", 0xC0000142: "runtime", 0xC000007B: "architecture",
    0xC000001D: "processor", 0xC0000017: "memory", 0xC0000428: "refused", -4: "processor", -9: "killed",
}  # fmt: skip
"""How a process ended: a status of Windows', or a signal below 0."""


def look(*packages: str) -> None:
    """Raise SetupError if the Visual C++ runtime, as far as these packages need it, is not on this Windows."""
    if missing := lacking(*packages):
        raise SetupError(
            f"{_listed(packages)} cannot be loaded: Windows lacks {_listed(missing)} of the Visual C++ runtime.",
            f"{runtime(sysconfig.get_platform())} {AGAIN} {HOSTED}",
        )


def lacking(*packages: str) -> tuple[str, ...]:
    """The libraries of the Visual C++ runtime that these packages need and this Windows does not find; elsewhere none."""
    needed = ((dll, name) for name in packages for dll in NEEDED.get(name, ()))
    return tuple(dict.fromkeys(dll for dll, name in needed if not _is_there(dll, name)))


@contextmanager
def loading(*packages: str) -> Iterator[None]:
    """Within, packages are imported; what cannot be loaded is raised as a SetupError that says what is lacking."""
    try:
        yield
    except ChatkitError:
        raise
    except Exception as error:
        raise unloadable(error, *packages) from error


def is_known(error: ImportError) -> bool:
    """Whether the system's loader refused a library, by a rule that is known here."""
    return not isinstance(error, ModuleNotFoundError) and _rule(error) != "unknown"


def unloadable(error: Exception, *packages: str) -> SetupError:
    """The error of an import, in words: the library by name, the rule, the way out."""
    said = " ".join(f"{type(error).__name__}: {error}".split())
    named = _named(said, packages)
    if isinstance(error, ModuleNotFoundError) and not _is_installed(error.name):
        return SetupError(
            f"{named} cannot be loaded: the module {error.name!r} is not installed for this Python ({sys.executable}).",
            f'Install it: "{sys.executable}" -m pip install "notebook-chatkit[local]". {AGAIN}',
        )
    return _sentence("architecture" if isinstance(error, ModuleNotFoundError) else _rule(error), named, said)


def ended(code: int | None, words: str, *packages: str) -> SetupError | None:
    """Why a child ended that loaded these packages, by its exit code and its last words; None where neither tells."""
    said = " ".join(words.split())
    rule = next((rule for rule, words in _WORDS.items() if re.search(words, said)), None) or _ENDS.get(code or 0)
    return _sentence(rule, _named(said, packages), said or f"exit code {code}") if rule else None


def _rule(error: Exception) -> str:
    said = f"{type(error).__name__}: {error}"
    number = _number(error)
    return _NUMBERS.get(number or 0) or next(
        (rule for rule, words in _WORDS.items() if re.search(words, said)), "unknown"
    )


def _number(error: Exception) -> int | None:
    """Windows' number for the error: an ImportError has its words alone, so the library is tried once more by itself."""
    if isinstance(error, OSError) or not isinstance(error, ImportError) or not error.path:
        return getattr(error, "winerror", None)
    if sys.platform == "win32" and "DLL load failed" in str(error):
        try:
            ctypes.WinDLL(error.path)
        except (AttributeError, OSError) as again:
            return getattr(again, "winerror", None)
    return None


def _sentence(rule: str, named: str, said: str) -> SetupError:
    why, way_out = _SENTENCES[rule](said, named)
    return SetupError(f"{named} cannot be loaded: {why}. The system says: {_quoted(said)}", way_out)


def _missing(said: str, named: str) -> tuple[str, str]:
    if found := re.search(_WORDS["missing"], said):
        library = next(filter(None, found.groups()), "")
        if library:
            return (
                f"a library that it needs, {library}, is not on this system",
                f"{_package_of(library)} {AGAIN} {HOSTED}",
            )
    lacking = [dll for name in NEEDED if name in named for dll in NEEDED[name] if not _is_there(dll, name)]
    which = f" ({_listed(lacking)})" if lacking else ""
    return f"a library that it needs is not on this Windows, mostly one of the Visual C++ runtime{which}", (
        f"{runtime(sysconfig.get_platform())} {AGAIN} {HOSTED}"
    )


def _package_of(library: str) -> str:
    name = library.rpartition("/")[2]
    if name.startswith("libgomp"):
        return "Install it: apt install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora)."
    if name.startswith("libomp"):
        return "Install it: brew install libomp."
    return f"Install the package of your system that brings {name}."


def runtime(platform: str) -> str:
    """How the Visual C++ runtime is installed for a Python of that platform, by sysconfig's name."""
    kind = {"win-arm64": "arm64", "win32": "x86"}.get(platform, "x64")
    return f"Install it: winget install Microsoft.VCRedist.2015+.{kind} (or https://aka.ms/vs/17/release/vc_redist.{kind}.exe)."


def _too_old_a_runtime(_: str, __: str) -> tuple[str, str]:
    return "the Visual C++ runtime that was found is too old for it, or another program's copy stands before it", (
        f"{runtime(sysconfig.get_platform())} {AGAIN} In a conda environment: conda update vc14_runtime. {HOSTED}"
    )


def _architecture(_: str, named: str) -> tuple[str, str]:
    return f"it was built for another processor or system than this Python is for ({sysconfig.get_platform()})", (
        f'Install it anew with this Python: "{sys.executable}" -m pip install --force-reinstall --no-cache-dir '
        f"{_packages(named)}. If there is none for it, take a Python of this machine's own kind ({platform.machine()})."
    )


def _glibc(said: str, _: str) -> tuple[str, str]:
    found = re.search(_WORDS["glibc"], said)
    here = " ".join(platform.libc_ver()).strip() or "an unknown one"
    return f"it needs the C library glibc {found[1] if found else 'of a newer system'}, and this system has {here}", (
        f"Run it on a newer system or container. {HOSTED}"
    )


def _old_system(_: str, __: str) -> tuple[str, str]:
    return "it was built for a newer system than this one", (
        f"Update the system, or in a conda environment: conda install -c conda-forge libstdcxx-ng. {HOSTED}"
    )


def _openmp(_: str, __: str) -> tuple[str, str]:
    return "two OpenMP runtimes came together in one process, which happens in an Anaconda with MKL", (
        f"Install chatkit in an environment of its own (py -m venv, or uv venv). {HOSTED}"
    )


def _refused(_: str, __: str) -> tuple[str, str]:
    return "the system, or a program that guards it, refuses to run it", (
        "Allow the folder of this Python in the virus scanner or the policy (who looks after this machine can), "
        f"or install chatkit in a folder from which programs may run. {HOSTED}"
    )


def _processor(_: str, __: str) -> tuple[str, str]:
    return f"this processor ({platform.machine()}) lacks an instruction that it was built with", (
        "Set OPENAI_API_KEY to use the hosted API, or run it on a newer machine."
    )


def _memory(_: str, __: str) -> tuple[str, str]:
    return "the machine has too little memory free for it", f"Close other kernels and programs. {HOSTED}"


def _killed(_: str, __: str) -> tuple[str, str]:
    return "the system ended it, most often for want of memory (on a Mac also for a code signature that is broken)", (
        f"Close other kernels and programs, or install it anew. {HOSTED}"
    )


def _unknown(_: str, named: str) -> tuple[str, str]:
    return "its installation is damaged, or does not fit the other packages here", (
        f'Install it anew: "{sys.executable}" -m pip install --force-reinstall {_packages(named)}. {AGAIN} {HOSTED}'
    )


_SENTENCES = {
    "missing": _missing, "runtime": _too_old_a_runtime, "architecture": _architecture, "glibc": _glibc,
    "old_system": _old_system, "openmp": _openmp, "refused": _refused, "processor": _processor, "memory": _memory,
    "killed": _killed, "unknown": _unknown,
}  # fmt: skip


def _is_there(dll: str, package: str) -> bool:
    """Whether Windows finds a DLL, or the package brings one under a name of its own; True where this is no Windows."""
    if sys.platform != "win32" or not hasattr(ctypes, "WinDLL"):
        return True
    try:
        ctypes.WinDLL(dll)
    except OSError:
        return any(file.name.lower().startswith(dll.lower().removesuffix(".dll")) for file in _brought(package))
    return True


def _brought(package: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    for folder in map(Path, (spec.submodule_search_locations if spec else None) or ()):
        yield from folder.rglob("*.dll")
        yield from folder.with_name(f"{folder.name}.libs").glob("*.dll")


def _is_installed(module: str | None) -> bool:
    """Whether the package of a module that was not found is there: then it lacks the part for this Python."""
    package, _, rest = (module or "").partition(".")
    return bool(rest) and importlib.util.find_spec(package) is not None


def _named(said: str, packages: tuple[str, ...]) -> str:
    """Those of the packages that are meant: the one that the words name, else all."""
    meant = [name for name in packages if re.search(rf"\b_?{re.escape(name)}", said)]
    return _listed(meant[:1] or packages)


def _packages(named: str) -> str:
    return named.replace(", ", " ").replace(" and ", " ").replace("_", "-")


def _listed(names: "tuple[str, ...] | list[str] | dict[str, None]") -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _quoted(said: str) -> str:
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
