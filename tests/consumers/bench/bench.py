"""Compares each template with a naive consumer in the same language. README.md says how; `run` starts it."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator
from urllib.parse import urlsplit

import psycopg

CONSUMERS = Path(__file__).parents[1]
LANGUAGES = ["python", "go", "java", "typescript"]
TOPIC = "shop.orders"
POLL = 0.02
PATIENCE = 300.0
TICK = os.sysconf("SC_CLK_TCK")

# Rises with each event of an order, and with each amount of the revenue: equal to that of shop.* at the end only.
PROGRESS = """
    select (select coalesce(sum(revision + 1), 0) from {schema}.orders)::bigint,
           (select coalesce(sum(ordered + returned + confirmed), 0) from {schema}.revenue)"""
DIFFERENCES = "select " + " + ".join(
    f"(select count(*) from (table {one}.{table} except all table {other}.{table}) it)"
    for table in ["orders", "revenue"] for one, other in [("shop", "{schema}"), ("{schema}", "shop")])


@dataclass
class Run:
    events: int
    seconds: float
    process_cpu: float
    postgres_cpu: float

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def cpu_of(pids: list[int]) -> float:
    """User and system seconds of processes, with those of their ended children."""
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # It has ended: its parent has its time.
            continue
        ticks += sum(map(int, fields[11:15]))
    return ticks / TICK


def children_of(parent: int) -> list[int]:
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == parent:
                children.append(int(stat.parent.name))
        except OSError:
            continue
    return children


class Bench:
    def __init__(self, build: Path, admin_url: str) -> None:
        self.build = build
        self.admin_url = admin_url
        self.admin = psycopg.connect(admin_url, autocommit=True)
        (backend,) = self.admin.execute("select pg_backend_pid()").fetchone()
        try:
            self.postmaster = int(Path(f"/proc/{backend}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            sys.exit("Postgres must run on this machine: its CPU time is measured")
        self.expected = self.admin.execute(PROGRESS.format(schema="shop")).fetchone()
        if not self.expected[0]:
            sys.exit("shop.orders is empty: start the servers with `aqueduct demo --orders 3000 --keep`")

    def url(self, role: str) -> str:
        """The server's, for a role whose password is its name."""
        server = urlsplit(self.admin_url)
        return f"postgres://{role}:{role}@{server.hostname}:{server.port or 5432}{server.path}"

    def command(self, language: str, is_naive: bool) -> list[str]:
        at = self.build / language
        match language, is_naive:
            case "python", _:
                program = CONSUMERS / ("bench/naive.py" if is_naive else "python/consumer.py")
                return [sys.executable, str(program)]
            case "go", _:
                return [str(at / ("naive" if is_naive else "consumer"))]
            case "java", False:
                return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-jar", str(at / "consumer.jar")]
            case "java", True:
                return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-cp", f"{at / 'naive'}:{at / 'consumer.jar'}", "Naive"]
        return ["node", str(at / "dist" / ("naive.js" if is_naive else "consumer.js"))]

    def install(self, aqueduct: str, language: str) -> None:
        """Registers a template's projection, with the tables of its migration."""
        name = f"shop_{language}"
        self.create(name, language, name)
        subprocess.run([aqueduct, "projection", "install", name, "--owner", name], check=True, stdout=sys.stderr)

    def create(self, role: str, language: str, schema: str) -> None:
        migration = (CONSUMERS / language / f"migrations/0001_shop_{language}.sql").read_text()
        if not self.admin.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
            self.admin.execute(f"create role {role} login password '{role}'")
        self.admin.execute(f"drop schema if exists {schema} cascade")
        with psycopg.connect(self.admin_url) as owner:
            database = owner.info.dbname
            owner.execute(f'grant create on database "{database}" to {role}')
            owner.execute(f"set role {role}")
            owner.execute(migration.replace(f"shop_{language}", schema))

    def reset(self, schema: str) -> None:
        """Empties the tables, and forgets what the projection has applied."""
        self.admin.execute(f"truncate {schema}.orders, {schema}.revenue")
        tables = self.admin.execute("""
            select table_name from information_schema.columns join information_schema.tables using (table_schema, table_name)
             where table_schema = 'aqueduct' and column_name = 'projection' and table_type = 'BASE TABLE'""").fetchall()
        for (table,) in tables:
            self.admin.execute(f"delete from aqueduct.{table} where projection = %s", [schema])
        self.admin.execute("checkpoint")

    @contextmanager
    def started(self, language: str, schema: str) -> Iterator[subprocess.Popen]:
        environment = os.environ | {
            "AQUEDUCT_KAFKA__GROUP": f"bench-{uuid.uuid4()}",
            "AQUEDUCT_POSTGRES__URL": self.url(schema),
            "AQUEDUCT_SCHEMAS__DIRECTORY": str(CONSUMERS.parents[1] / "schemas"),
            "AQUEDUCT_TOPICS": TOPIC,
            "AQUEDUCT_HTTP__CONSUMER": "127.0.0.1:0",
        }
        with open(self.build / f"{language}-{schema}.log", "w") as log:
            process = subprocess.Popen(self.command(language, schema == "naive"), env=environment, stdout=log, stderr=log)
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def measure(self, language: str, is_naive: bool) -> Run:
        """From the first rows that are seen to the last: the start of the program and its join are left out."""
        schema = "naive" if is_naive else f"shop_{language}"
        self.reset(schema)
        query = PROGRESS.format(schema=schema)
        with self.started(language, schema) as process:
            begin = None
            deadline = time.monotonic() + PATIENCE
            while (progress := self.admin.execute(query).fetchone()) != self.expected:
                now = time.monotonic()
                if begin is None and progress[0]:
                    begin = (now, progress[0], *self.cpu(process))
                if process.poll() is not None or now > deadline:
                    sys.exit(f"{language}, {schema}: ended or did not finish, see {self.build}/{language}-{schema}.log")
                time.sleep(POLL)
            end = (time.monotonic(), progress[0], *self.cpu(process))
        if begin is None:
            sys.exit(f"{language}, {schema}: all rows came at once, there is too little to measure")
        (different,) = self.admin.execute(DIFFERENCES.format(schema=schema)).fetchone()
        if different:
            sys.exit(f"{language}, {schema}: {different} rows differ from those of the shop's views")
        seconds, events, process_cpu, postgres_cpu = (after - before for before, after in zip(begin, end))
        return Run(events, seconds, process_cpu, postgres_cpu)

    def cpu(self, process: subprocess.Popen) -> tuple[float, float]:
        return cpu_of([process.pid]), cpu_of([self.postmaster, *children_of(self.postmaster)])


def summary(template: list[Run], naive: list[Run]) -> dict[str, Any]:
    def per_event(runs: list[Run]) -> float:
        return statistics.median((run.process_cpu + run.postgres_cpu) / run.events for run in runs)

    ratios = [one.rate / other.rate for one, other in zip(template, naive)]
    return {
        "ratio": round(statistics.median(ratios), 2), "from": round(min(ratios), 2), "to": round(max(ratios), 2),
        "template": round(statistics.median(run.rate for run in template)),
        "naive": round(statistics.median(run.rate for run in naive)),
        "cpu": round(per_event(template) / per_event(naive), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--aqueduct", required=True, help="the binary, which registers the projections")
    parser.add_argument("--build", type=Path, required=True, help="where the programs were built")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--language", action="append", choices=LANGUAGES, help="only this one; may be repeated")
    parser.add_argument("--json", action="store_true", help="print all runs")
    options = parser.parse_args()
    languages = options.language or LANGUAGES
    bench = Bench(options.build, os.environ["AQUEDUCT_POSTGRES__URL"])
    bench.create("naive", "python", "naive")
    for language in languages:
        bench.install(options.aqueduct, language)
    runs: dict[tuple[str, bool], list[Run]] = {(language, naive): [] for language in languages for naive in [False, True]}
    for number in range(options.rounds + 1):  # The first fills caches and is not counted.
        for side in sorted(runs, reverse=number % 2 == 1):
            run = bench.measure(*side)
            print(f"round {number}: {'naive' if side[1] else 'template'} in {side[0]}: {run.rate:.0f} events/s",
                  file=sys.stderr)
            if number:
                runs[side].append(run)
    result = {language: summary(runs[language, False], runs[language, True]) for language in languages}
    if options.json:
        print(json.dumps(result | {"runs": [(*side, vars(run)) for side, all_runs in runs.items() for run in all_runs]}))
        return
    print("| language | template / naive | lowest to highest | template, events/s | naive, events/s | CPU an event |")
    print("|---|---|---|---|---|---|")
    for language, it in result.items():
        print(f"| {language} | {it['ratio']} | {it['from']} to {it['to']} | {it['template']:,} | {it['naive']:,} | {it['cpu']} |")


if __name__ == "__main__":
    main()
