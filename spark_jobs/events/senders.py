"""Processes that send: what kafka-python does for a record takes more of Python's time than reading and encoding it.

The job's process reads and encodes, and hands chunks over through pipes. Every sender has an idempotent producer and
partitions of its own, so each partition has the file's order. What keeps the *partitions* together matters as much: the
stream calls an event late that is ten minutes of event time behind the newest, from whatever partition. Therefore no
sender gets a chunk before Kafka has answered every sender for all but the `_AHEAD` chunks before it. One partition is
never further ahead of another than that many rows, whatever befalls a sender: four minutes of the public events.
Kafka's pace comes back to the reader in the same way, for a producer itself would take records without bound.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType

from kafka import KafkaProducer

from spark_jobs.config import Config
from spark_jobs.entry import log_to_stdout
from spark_jobs.errors import JobError
from spark_jobs.events.producing import Outbox, Placed, Placement, producer
from spark_jobs.events.record import Record
from spark_jobs.garbage import collect_rarely

Connect = Callable[[Config], KafkaProducer]

CHUNK = 500
_AHEAD = 8
_SENDERS = 2
# A sender's two threads, one that takes records and one that talks to Kafka, would take Python's lock from each other
# 200 times a second, which costs a tenth of the CPU time. Neither is in a hurry.
_SWITCH_SECONDS = 0.05
# How often a sender without a new chunk looks for Kafka's answers.
_TICK_SECONDS = 0.005


@dataclass
class _Sender:
    """A sender as the job's process sees it.

    Attributes:
        process: Its process.
        chunks: Where it takes chunks from.
        answers: Where it puts the number of partitions, then one True per chunk, or an exception that ended it.
        unanswered: Chunks handed over and not answered.
        failure: What ended it, once it has been asked for an answer.
    """

    process: BaseProcess
    chunks: Connection
    answers: Connection
    unanswered: int = 0
    failure: Exception | None = None

    def give(self, chunk: list[Placed]) -> None:
        """Hand a chunk over; waits while the pipe is full."""
        # Who ended meanwhile has said why, or was killed: asking for the answer tells.
        with suppress(BrokenPipeError):
            self.chunks.send(chunk)
        self.unanswered += 1

    def answer(self) -> int:
        """Wait for its next answer.

        Raises:
            JobError: It found no broker or no topic.
            RuntimeError: Kafka refused a record, or the process was killed.
        """
        if self.failure is None:
            try:
                answer: int | Exception = self.answers.recv()
            except (EOFError, ConnectionResetError):
                self.process.join()
                answer = RuntimeError(f"a process that sends to Kafka ended with status {self.process.exitcode}")
            if not isinstance(answer, Exception):
                return answer
            self.failure = answer
        raise self.failure


class Senders:
    """Sender processes; they end with the `with` block, and with the process that started them.

    Args:
        config: Broker and topic.
        connect: Makes the producer of a sender, in its process.

    Raises:
        JobError: On entering: no broker answers, or the topic does not exist.
    """

    def __init__(self, config: Config, connect: Connect = producer) -> None:
        self._config = config
        self._connect = connect
        self._senders: list[_Sender] = []

    def __enter__(self) -> Senders:
        try:
            for _ in range(_SENDERS):
                self._senders.append(_start(self._config, self._connect))
            self._placement = Placement(min([sender.answer() for sender in self._senders]))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        # What they still hold was confirmed, or counts as not sent.
        for sender in self._senders:
            sender.process.terminate()
            sender.process.join()
            sender.chunks.close()
            sender.answers.close()

    def hand_over(self, records: Sequence[Record]) -> None:
        """Give a chunk of records to the senders of their partitions; waits for the slowest of them.

        Raises:
            RuntimeError: Kafka refused a record, or a sender was killed; nothing since the last `confirm` counts.
        """
        self._await(_AHEAD - 1)
        shares: list[list[Placed]] = [[] for _ in self._senders]
        for placed in self._placement.place(records):
            shares[placed[0] % len(shares)].append(placed)
        for sender, share in zip(self._senders, shares, strict=True):
            sender.give(share)

    def confirm(self) -> None:
        """Wait until Kafka has every record.

        Raises:
            RuntimeError: Kafka refused a record, or a sender was killed.
        """
        self._await(0)

    def _await(self, most: int) -> None:
        """Wait until no sender has more than so many unanswered chunks."""
        for sender in self._senders:
            while sender.unanswered > most:
                sender.answer()
                sender.unanswered -= 1


def _start(config: Config, connect: Connect) -> _Sender:
    context = get_context("spawn")
    theirs, chunks = context.Pipe(duplex=False)
    answers, said = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(config, connect, theirs, said), daemon=True)
    process.start()
    theirs.close()
    said.close()
    return _Sender(process, chunks, answers)


def _send(config: Config, connect: Connect, chunks: Connection, answers: Connection) -> None:
    """Be a sender: until the pipe ends, which it does with the process at its other end."""
    # Ctrl-C reaches the whole group; the process that reads still wants to have confirmed what it handed over.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_to_stdout()
    sys.setswitchinterval(_SWITCH_SECONDS)
    collect_rarely()
    with suppress(EOFError, BrokenPipeError):
        try:
            client = connect(config)
            answers.send(len(client.partitions_for(config.topic)))
            _serve(Outbox(client, config.topic), chunks, answers)
        except (JobError, RuntimeError) as error:
            answers.send(error)


def _serve(outbox: Outbox, chunks: Connection, answers: Connection) -> None:
    while True:
        if chunks.poll(None if outbox.idle else _TICK_SECONDS):
            outbox.add(chunks.recv())
        for _ in range(outbox.answered()):
            answers.send(True)
