"""What the rivals of the benchmark share: the task, the sizes, the report.

A rival is a program: `python RIVAL.py '{"task": "image", ...}'`. Its last line on standard output is one JSON object: `seconds` (one number a repetition,
after one that is not counted), `loadSeconds`, `peakBytes` and `versions`, or `missing` with the reason. Keys of the task: `Task` in bench/compare.ts.
"""
import importlib.metadata
import json
import resource
import sys
import time


def versions_of(*packages: str) -> dict:
    return {name: importlib.metadata.version(name) for name in packages}


def repeat(count: int, warm_up: bool, run) -> list:
    """Seconds of each of `count` runs. An image takes minutes, so its caller may leave the warm-up out."""
    if warm_up:
        run()
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds


def main(measure, packages: tuple) -> None:
    """`measure(task)` returns `seconds` and `loadSeconds`. A package that is not there is no error: the table says so."""
    task = json.loads(sys.argv[1])
    try:
        report = {**measure(task), "versions": versions_of(*packages)}
    except ModuleNotFoundError as error:
        report = {"missing": f"the Python package {error.name} is not installed"}
    report["peakBytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(report), flush=True)
