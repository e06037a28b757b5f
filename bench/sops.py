"""`python -m bench.sops`: the commands on secrets beside the real sops, whole processes in turns on the same files."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import string
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from agent.adapters.keys.age import AgeKeys
from agent.sops.files import sealed
from agent.sops.format.groups import unwrap_data_key
from agent.values.secret import Secret
from bench.report import Expectation, align
from testbed import binaries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from agent.sops.format.keys import WrappedKey

AGENT: Final = str(Path(sys.executable).with_name("agent"))
FILES: Final = 200
_LETTERS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Run:
    """One or more processes, one after the other: seconds on the clock and of CPU, and the largest peak."""

    seconds: float
    cpu: float
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The same work by the agent and by sops, a pair a round."""

    name: str
    values: int
    agent: tuple[Run, ...]
    sops: tuple[Run, ...]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios, so that a busy moment slows both."""
        return median(ours.seconds / theirs.seconds for ours, theirs in zip(self.agent, self.sops, strict=True))

    @property
    def peaks(self) -> tuple[float, float]:
        return max(run.peak_mib for run in self.agent), max(run.peak_mib for run in self.sops)


@dataclass(slots=True)
class Findings:
    compared: list[Compared] = field(default_factory=list[Compared])
    sizes: dict[int, Run] = field(default_factory=dict[int, Run])
    in_the_agent: dict[str, float] = field(default_factory=dict[str, float])
    machine: dict[str, object] = field(default_factory=dict[str, object])


def document(values: int, seed: int = 0) -> str:
    """A YAML file with this many values, ten to a map, 32 characters each."""
    draw = random.Random(seed)
    lines = ["services:"]
    for number in range(values // 10):
        lines.append(f"  service-{number:05d}:")
        lines += [f"    key-{key}: {''.join(draw.choices(_LETTERS, k=32))}" for key in range(10)]
    return "\n".join(lines) + "\n"


class Workplace:
    """A folder with an age key, and processes whose environment has nothing else of the user's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sops = str(binaries.path("sops"))
        key = folder / "key.txt"
        _ = subprocess.run([binaries.path("age-keygen"), "-o", key], check=True, capture_output=True)
        self.identity = Secret(key.read_text("utf-8"), "benchmark's key")
        [self.recipient] = AgeKeys.parse(self.identity, source="key.txt").recipients
        path = os.environ.get("PATH", "")
        self._environment = {"PATH": path, "HOME": str(folder), "SOPS_AGE_KEY_FILE": str(key)}

    def run(self, *command: str) -> Run:
        """A process, its output to nowhere. Raises RuntimeError where it fails."""
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=self.folder, env=self._environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{command[0]} {command[1]} ended with {process.returncode}")
        return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)

    def each(self, commands: Iterator[Sequence[str]]) -> Run:
        runs = [self.run(*command) for command in commands]
        return Run(sum(run.seconds for run in runs), sum(run.cpu for run in runs), max(run.peak_mib for run in runs))


def compare(name: str, values: int, rounds: int, agent: Callable[[], Run], sops: Callable[[], Run]) -> Compared:
    """Each once to warm up, then in turns."""
    _ = agent(), sops()
    pairs = [(agent(), sops()) for _ in range(rounds)]
    return Compared(name, values, tuple(ours for ours, _ in pairs), tuple(theirs for _, theirs in pairs))


def one_file(place: Workplace, values: int, rounds: int) -> Iterator[Compared]:
    """Encrypting and decrypting a file of so many values; both decrypt what sops encrypted."""
    plain, encrypted = f"plain-{values}.yaml", f"encrypted-{values}.yaml"
    _ = (place.folder / plain).write_text(document(values), "utf-8")
    _ = place.run(place.sops, "encrypt", "--age", place.recipient, "--output", encrypted, plain)

    def encrypt(program: str) -> Run:
        return place.run(program, "encrypt", "--age", place.recipient, plain)

    def decrypt(program: str) -> Run:
        return place.run(program, "decrypt", encrypted)

    for name, work in (("encrypt", encrypt), ("decrypt", decrypt)):
        yield compare(name, values, rounds, lambda work=work: work(AGENT), lambda work=work: work(place.sops))


def key_file(place: Workplace, rounds: int) -> Compared:
    """Encrypting a private key over several lines, and a text beyond ASCII."""
    draw = random.Random(0)
    key = "".join(f"    {''.join(draw.choices(_LETTERS, k=64))}\n" for _ in range(40))
    _ = (place.folder / "key.yaml").write_text(f"owner: Zoë\ntls.key: |\n{key}", "utf-8")

    def encrypt(program: str) -> Run:
        return place.run(program, "encrypt", "--age", place.recipient, "key.yaml")

    return compare("encrypt a private key", 2, rounds, lambda: encrypt(AGENT), lambda: encrypt(place.sops))


def many_files(place: Workplace, rounds: int) -> Compared:
    """200 files of ten values: one process, and a process a file."""
    folder = place.folder / "files"
    folder.mkdir()
    names = [f"files/{number:03d}.yaml" for number in range(FILES)]
    for number, name in enumerate(names):
        _ = (place.folder / name).write_text(document(10, seed=number), "utf-8")
        _ = place.run(place.sops, "encrypt", "--age", place.recipient, "-i", name)
    sealed_folder = shutil.copytree(folder, place.folder / "sealed")

    def restored() -> None:
        shutil.rmtree(folder)
        _ = shutil.copytree(sealed_folder, folder)

    def agent() -> Run:
        restored()
        return place.run(AGENT, "decrypt", "-i", "files")

    def sops() -> Run:
        restored()
        return place.each((place.sops, "decrypt", "-i", name) for name in names)

    return compare(f"decrypt {FILES} files", 10, rounds, agent, sops)


def in_the_agent(place: Workplace) -> Mapping[str, float]:
    """Milliseconds a file, opened as the agent does: sealed, its data key unwrapped once, every value and the MAC."""
    keys = AgeKeys.parse(place.identity, source="key.txt")
    files = [(path.name, path.read_bytes()) for path in sorted((place.folder / "sealed").iterdir())]
    opened: dict[WrappedKey, Secret] = {}

    def all_files() -> float:
        began = time.perf_counter()
        for name, data in files:
            file = sealed.open_file(data, file=name)
            assert file is not None
            [part] = file.parts
            data_key = unwrap_data_key(part.metadata.data_key, keys, file=name, opened=opened)
            assert len(sealed.unseal(part, data_key)) == 10
        return (time.perf_counter() - began) * 1000 / len(files)

    first = all_files()
    return {"first": first, "data keys known": min(all_files() for _ in range(3))}


def expectations(findings: Findings) -> Iterator[Expectation]:
    """The numbers beside what is expected of them."""
    wanted = {
        ("decrypt", 20_000): 0.5,
        ("encrypt", 20_000): 0.6,
        ("decrypt", 1000): 1.0,
        ("encrypt", 1000): 1.0,
        ("decrypt", 10): 5.0,
        ("encrypt", 10): 5.0,
        ("encrypt a private key", 2): 5.0,
        (f"decrypt {FILES} files", 10): 0.1,
    }
    for each in findings.compared:
        limit = wanted[each.name, each.values]
        title = f"{each.name}, {each.values:,} values"
        yield Expectation(title, f"≤ {limit:g} of sops", f"{each.ratio:.2f}", each.ratio <= limit)
        if each.values == 20_000:
            ours, theirs = each.peaks
            yield Expectation(f"{title}: peak", "≤ sops", f"{ours:.0f} and {theirs:.0f} MiB", ours <= theirs)
        if each.values == 10 and each.name in ("encrypt", "decrypt"):
            seconds = median(run.seconds for run in each.agent)
            yield Expectation(f"{title}: time", "≤ 150 ms", f"{seconds * 1000:.0f} ms", seconds <= 0.15)
    for name, milliseconds in findings.in_the_agent.items():
        yield Expectation(f"a file in the agent, {name}", "≤ 1 ms", f"{milliseconds:.2f} ms", milliseconds <= 1)
    if len(findings.sizes) > 1:
        small, large = min(findings.sizes), max(findings.sizes)
        times = large / small
        for name, one, other in (
            ("time", findings.sizes[small].seconds, findings.sizes[large].seconds),
            ("peak", findings.sizes[small].peak_mib, findings.sizes[large].peak_mib),
        ):
            text = f"{other / one:.1f} times"
            yield Expectation(f"{name}, {small:,} → {large:,} values", f"≤ {times:g} times", text, other <= one * times)


def table(findings: Findings) -> str:
    """Medians for people; the JSON has every run."""
    rows: list[tuple[str, ...]] = [("", "values", "agent s", "sops s", "ratio", "agent MiB", "sops MiB")]
    for each in findings.compared:
        ours, theirs = (median(run.seconds for run in runs) for runs in (each.agent, each.sops))
        peaks = [f"{peak:.0f}" for peak in each.peaks]
        rows.append((each.name, f"{each.values:,}", f"{ours:.3f}", f"{theirs:.3f}", f"{each.ratio:.2f}", *peaks))
    for values, run in findings.sizes.items():
        rows.append(("decrypt", f"{values:,}", f"{run.seconds:.3f}", "", "", f"{run.peak_mib:.0f}", ""))
    found = [("expected", "", "found", "")]
    found += [(each.name, each.wanted, each.found, "met" if each.met else "NOT MET") for each in expectations(findings)]
    return f"{align(rows)}\n\n{align(found)}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sops", description="The commands on secrets beside sops.")
    _ = parser.add_argument("--rounds", type=int, default=5, metavar="N", help="pairs of runs (default: 5)")
    _ = parser.add_argument("--quick", action="store_true", help="one round, no large files")
    _ = parser.add_argument("--json", type=Path, default=Path("bench-sops-results.json"), metavar="FILE")
    options = parser.parse_args()
    rounds: int = 1 if options.quick else options.rounds
    findings = Findings(machine={"cpus": os.cpu_count(), "load": os.getloadavg()})
    with tempfile.TemporaryDirectory(prefix="signet-bench-") as name:
        place = Workplace(Path(name))
        for values in (10, 1000) if options.quick else (10, 1000, 20_000):
            print(f"{values:,} values", file=sys.stderr)
            findings.compared += one_file(place, values, max(rounds, 3) if values < 20_000 else rounds)
        findings.compared.append(key_file(place, max(rounds, 3)))
        print(f"{FILES} files", file=sys.stderr)
        findings.compared.append(many_files(place, min(rounds, 3)))
        findings.in_the_agent |= in_the_agent(place)
        for values in () if options.quick else (20_000, 200_000):
            print(f"{values:,} values", file=sys.stderr)
            plain, encrypted = f"plain-{values}.yaml", f"large-{values}.yaml"
            _ = (place.folder / plain).write_text(document(values), "utf-8")
            _ = place.run(AGENT, "encrypt", "--age", place.recipient, "--output", encrypted, plain)
            findings.sizes[values] = min(
                (place.run(AGENT, "decrypt", encrypted) for _ in range(3)), key=lambda run: run.seconds
            )
    print(table(findings))
    _ = options.json.write_text(json.dumps(asdict(findings), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
