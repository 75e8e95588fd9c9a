"""Generated events: a file, the dimensions derived from it, and a topic full of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from benchmarks.servers import Servers, ending
from data.generate_events import generate
from data.shopgen.settings import Settings
from embedded.progress import Progress

# Public month: so many events per user.
_EVENTS_PER_USER = 14
DIRTY = 0.01


def events_file(
    servers: Servers, events: int, days: int, seed: int, progress: Progress, start: date = Settings.start
) -> Path:
    """Generate an events file of the days from `start`; returns it."""
    target = servers.folder / f"events-{start}.csv"
    users = max(10, events // _EVENTS_PER_USER)
    settings = Settings(users=users, days=days, events=events, seed=seed, dirty=DIRTY, start=start)
    generate(settings, target)
    progress.say(f"generated {events:,} events of {settings.users:,} users in {days} days")
    return target


def make(servers: Servers, events: int, days: int, seed: int, progress: Progress) -> Path:
    """Generate an events file and seed the dimensions from it; returns the file."""
    target = events_file(servers, events, days, seed, progress)
    servers.run_job("spark_jobs.jobs.seed_dimensions", "--events", str(target), environ=servers.environ("seed"))
    sizes = {name: servers.db[name].estimated_document_count() for name in ("products", "users")}
    progress.say(f"seeded {sizes['products']:,} products and {sizes['users']:,} users")
    return target


def produce(servers: Servers, file: Path, topic: str, limit: int, progress: Progress) -> None:
    """Create a topic and fill it with the first `limit` rows of the file."""
    servers.create_topic(topic)
    arguments = ("--file", str(file), "--limit", str(limit))
    with ending(
        servers.start_job("spark_jobs.jobs.replay_events", *arguments, environ=servers.environ("replay", topic))
    ) as replay:
        replay.wait()
    progress.say(f"topic {topic}: {replay.last_words()}")
