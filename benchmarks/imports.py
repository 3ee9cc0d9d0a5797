"""How long `import chatkit` and the first panel take, beside what they stand on. Run: python benchmarks/imports.py

Each figure is the median of fresh processes, taken in turns in one run, less the bare interpreter's. They find the
bytecode that the first run left, as an installed package's do, whatever PYTHONDONTWRITEBYTECODE says here.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

RUNS = 11
CASES = {
    "bare interpreter": "pass",
    "import chatkit": "import chatkit",
    "openai + ipywidgets + anywidget": "import openai, ipywidgets, anywidget",
    "first panel": "import chatkit; chatkit.ChatPanel()",
    "first panel and openai": "import chatkit, openai; chatkit.ChatPanel()",
}


def seconds(code: str, environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - start


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory() as cache:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = cache
        for code in CASES.values():
            seconds(code, environment)
        for _ in range(RUNS):
            for name, code in CASES.items():
                taken[name].append(seconds(code, environment))
    bare = statistics.median(taken["bare interpreter"])
    floor = statistics.median(taken["openai + ipywidgets + anywidget"]) - bare
    print(f"{'':34}{'median ms':>10}{'ratio to openai + ipywidgets + anywidget':>44}")
    for name, times in taken.items():
        own = statistics.median(times) - (0 if name == "bare interpreter" else bare)
        print(f"{name:34}{own * 1e3:10.1f}{own / floor:44.2f}")


if __name__ == "__main__":
    main()
