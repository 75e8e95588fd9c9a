"""`up`: starts what does not run, in order, and waits until every component is healthy."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from embedded import airflow, checks, home, kafka, mongodb, preflight, processes
from embedded.down import end_leftovers
from embedded.errors import StackError
from embedded.events_file import seed_if_new
from embedded.programs import AIRFLOW, KAFKA, MONGODB
from embedded.progress import Progress
from embedded.stack import EVENT_PARTITIONS, Stack, changed_settings
from embedded.supervision import ProgramState, log_file

SERVER_SECONDS = 90.0
AIRFLOW_SECONDS = 240.0
# A program that died this often while starting will not recover by itself.
DEATHS = 3
POLL_SECONDS = 0.3
REMINDER_SECONDS = 10.0
HUNG_AFTER_SECONDS = 60.0


class Up:
    """One run of `up`."""

    def __init__(self, stack: Stack, progress: Progress) -> None:
        self.stack = stack
        self.progress = progress
        self.names = [program.name for program in stack.programs]
        self.variables = stack.variables(os.environ)
        self._cancelled = threading.Event()

    def run(self) -> None:
        """Bring the stack up, or find that it is.

        Raises:
            StackError: a check failed, or a component does not become healthy.
        """
        stack = self.stack
        alive = stack.supervisor.is_alive()
        if alive:
            if changed := changed_settings(stack):
                raise StackError(f"the running stack was started with another {', '.join(changed)} (make down first)")
            unhealthy = self._unhealthy()
            if not unhealthy:
                self.progress.say("everything is up already")
                seed_if_new(stack, self.progress)
                return
            self.progress.say(f"not healthy, healing: {', '.join(unhealthy)}")
        elif processes.marked(stack.settings.marker):
            self.progress.say("the last run did not end properly")
            end_leftovers(stack.settings, self.progress)
        self._preflight(alive)
        if not alive:
            stack.record()
            airflow.work_folder(stack.settings).mkdir(exist_ok=True)
            stack.supervisor.start_daemon(stack.programs, self.variables)
        else:
            self._stop_hung()
        self._start_servers()
        self._start_airflow()
        seed_if_new(stack, self.progress)

    def _unhealthy(self) -> list[str]:
        stack = self.stack
        return checks.unhealthy(stack.settings, stack.mongodb_uri, self.names, stack.supervisor.states())

    def _preflight(self, alive: bool) -> None:
        settings = self.stack.settings
        home.require_writable(settings.data_dir, "SHOPSTREAM_DATA_DIR")
        preflight.check_spark(settings)
        preflight.check_configuration(settings, self.variables)
        if settings.events and not os.access(settings.events, os.R_OK):
            raise StackError(f"SHOPSTREAM_EVENTS: {settings.events} cannot be read (correct or unset it)")
        if not alive:
            preflight.check_machine(settings)
        states = self.stack.supervisor.states()
        preflight.check_ports(program for program in self.stack.programs if not self._has_process(states, program.name))
        if settings.external_mongodb:
            mongodb.require_reachable(settings.external_mongodb)
        if settings.external_kafka and not kafka.answers(settings.external_kafka):
            raise StackError(
                f"KAFKA_BOOTSTRAP_SERVERS: no broker answers at {settings.external_kafka} "
                "(correct it, or unset it to use the embedded one)"
            )

    @staticmethod
    def _has_process(states: dict[str, ProgramState], name: str) -> bool:
        return name in states and states[name].pid != 0

    def _stop_hung(self) -> None:
        """Stop programs that have been running for long but do not answer; the start then begins anew."""
        states = self.stack.supervisor.states()
        hung = [
            name
            for name in self._unhealthy()
            if states[name].state == "RUNNING" and time.time() - states[name].started > HUNG_AFTER_SECONDS
        ]
        if hung:
            self.progress.say(f"not answering, restarting: {', '.join(hung)}")
            self.stack.supervisor.stop(hung)
            deadline = time.monotonic() + SERVER_SECONDS
            while any(self._has_process(self.stack.supervisor.states(), name) for name in hung):
                if time.monotonic() > deadline:
                    raise StackError(f"{hung[0]} cannot be stopped (make down, then make up)")
                time.sleep(0.2)

    def _start_servers(self) -> None:
        """Kafka, MongoDB and Airflow's database at the same time: they do not need each other."""
        self.progress.say("servers: starting")
        jobs: list[Callable[[], None]] = [self._start_kafka, self._start_mongodb, self._prepare_airflow]
        with ThreadPoolExecutor(len(jobs)) as pool:
            results = [pool.submit(job) for job in jobs]
            try:
                done, _ = wait(results, return_when=FIRST_EXCEPTION)
            finally:
                # The first failure, or the user, ends the waiting of all.
                if not all(result.done() for result in results):
                    self._cancelled.set()
        for result in [*done, *results]:
            result.result()

    def _start_kafka(self) -> None:
        settings = self.stack.settings
        if KAFKA in self.names:
            if not self._has_process(self.stack.supervisor.states(), KAFKA):
                kafka.prepare(settings, self.stack.java_home)
            self._start_and_wait([KAFKA], SERVER_SECONDS)
        kafka.create_topic(settings, airflow.python(settings), EVENT_PARTITIONS)
        self.progress.say(f"kafka: ready at {settings.kafka_servers}, topic {settings.topic}")

    def _start_mongodb(self) -> None:
        settings = self.stack.settings
        if MONGODB in self.names:
            if not self._has_process(self.stack.supervisor.states(), MONGODB):
                mongodb.prepare(settings, self.stack.credentials)
            self._start_and_wait([MONGODB], SERVER_SECONDS)
        self.progress.say(f"mongodb: ready at {mongodb.hosts(self.stack.mongodb_uri)}")

    def _prepare_airflow(self) -> None:
        airflow.prepare(self.stack.settings, self.stack.credentials, self.variables)

    def _start_airflow(self) -> None:
        self.progress.say("airflow: starting")
        self._start_and_wait(list(AIRFLOW), AIRFLOW_SECONDS)

    def _start_and_wait(self, names: list[str], seconds: float) -> None:
        """Start `names` and wait until each is healthy.

        Raises:
            StackError: one keeps dying, or is not healthy after `seconds`.
        """
        stack = self.stack
        for name in names:
            if not self._has_process(stack.supervisor.states(), name):
                stack.supervisor.start(name)
        waiting, deaths = list(names), {name: set[float]() for name in names}
        deadline, reminder = time.monotonic() + seconds, time.monotonic() + REMINDER_SECONDS
        while waiting:
            states = stack.supervisor.states()
            for name in waiting:
                state = states.get(name, ProgramState("GONE", 0, 0))
                if state.state in ("BACKOFF", "EXITED"):
                    deaths[name].add(state.started)
                if state.state in ("FATAL", "GONE") or len(deaths[name]) >= DEATHS:
                    raise StackError(f"{name} dies while starting: {self._last_words(name)}")
            remaining = checks.unhealthy(stack.settings, stack.mongodb_uri, waiting, states)
            for name in waiting:
                if name not in remaining and name in AIRFLOW:
                    self.progress.say(f"{name}: ready")
            waiting = remaining
            if waiting and time.monotonic() > reminder:
                self.progress.say(f"waiting for {', '.join(waiting)}")
                reminder += REMINDER_SECONDS
            if waiting and time.monotonic() > deadline:
                raise StackError(f"{waiting[0]} is not healthy after {seconds:.0f} s: {self._last_words(waiting[0])}")
            if waiting and self._cancelled.wait(POLL_SECONDS):
                raise StackError("cancelled")

    def _last_words(self, name: str) -> str:
        path = log_file(self.stack.settings, name)
        text = path.read_text(errors="replace") if path.exists() else ""
        return f"{last_words(text)} (whole log: {path})"


def last_words(log: str) -> str:
    """The last three telling lines of a log, in one line; Java's stack frames tell nothing."""
    lines = [line.strip()[:160] for line in log.splitlines() if line.strip() and not line.lstrip().startswith("at ")]
    return " | ".join(lines[-3:]) or "it said nothing"


def where_to_click(stack: Stack) -> str:
    """URL and login, the last thing `up` prints."""
    login = stack.credentials
    return f"Airflow: {stack.settings.airflow_url}   user: {login.airflow_user}   password: {login.airflow_password}"
